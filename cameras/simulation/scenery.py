"""The static background of a street: the ray of every pixel hits ground, wall, sky or a tree."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cameras.simulation import surfaces
from cameras.simulation.facades import wall_colours
from cameras.simulation.street import Street, Tree
from cameras.simulation.surfaces import Noise
from cameras.simulation.viewpoint import Floats, Viewpoint

OVERSAMPLING = 2
SHADOW = np.array([0.50, 0.53, 0.60], np.float32)
"""Brightness of areas lit only by the sky; slightly blue."""


@dataclass(frozen=True, slots=True, eq=False)
class Scenery:
    """The static background."""

    pixels: npt.NDArray[np.uint8]
    """uint8 (H, W, 3), RGB."""
    cover: Floats
    """How much of a pixel trees and street furniture hide, 0..1, (H, W)."""
    cover_depth: Floats
    """Their distance, metres, (H, W), infinite where there are none; they hide what is behind."""
    shade: Floats
    """Part of the sunlight that does not reach the ground, 0..1, (H, W)."""


def make_scenery(street: Street) -> Scenery:
    """Render the street without people."""
    noise = Noise.seeded(street.seed)
    view = street.viewpoint
    rays = view.rays(OVERSAMPLING)
    colours = _sky(rays, noise)
    ground = view.height + rays[..., 2] * _distance_to(street.front, rays) < 0
    shade = np.zeros(rays.shape[:2], np.float32)

    distance = view.height / -rays[ground][:, 2]
    x, y = distance * rays[ground][:, 0], distance * rays[ground][:, 1]
    shade[ground] = _shade(street, x, y, noise)
    colours[ground] = _in_light(_ground_colours(street, x, y, noise), shade[ground])

    distance = _distance_to(street.front, rays[~ground])
    x, z = distance * rays[~ground][:, 0], view.height + distance * rays[~ground][:, 2]
    walls, solid = wall_colours(street, x, z, noise)
    colours[~ground] = np.where(solid[:, None], walls, colours[~ground])

    cover = np.zeros(rays.shape[:2], np.float32)
    cover_depth = np.full(rays.shape[:2], np.inf, np.float32)
    for tree in street.trees:  # far to near
        box = _outline(tree, view)
        opacity = _draw_tree(colours[box], tree, street, rays[box], noise)
        cover[box] = np.maximum(cover[box], opacity)
        _, depth = view.project(np.array([[tree.x, tree.y, 0.0]], np.float32))
        cover_depth[box] = np.where(opacity > 0.3, depth, cover_depth[box])
    colours *= np.array(street.light, np.float32)
    return Scenery(
        pixels=_shrink(np.clip(colours, 0, 255)).round().astype(np.uint8),
        cover=_shrink(cover),
        cover_depth=np.ascontiguousarray(cover_depth[::OVERSAMPLING, ::OVERSAMPLING]),
        shade=_shrink(shade),
    )


def _distance_to(y: float, rays: Floats) -> Floats:
    distance: Floats = y / rays[..., 1]
    return distance


def _shrink(values: Floats) -> Floats:
    height, width = values.shape[0] // OVERSAMPLING, values.shape[1] // OVERSAMPLING
    return cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)


def _in_light(colours: Floats, shade: Floats) -> Floats:
    lit: Floats = colours * (1 - shade[..., None] * (1 - SHADOW))
    return lit


def _sky(rays: Floats, noise: Noise) -> Floats:
    slope = rays[..., 2] / np.linalg.norm(rays, axis=-1)
    haze = surfaces.tint((222, 228, 228), np.ones_like(slope))
    blue = surfaces.blend(haze, (140, 178, 216), np.clip(slope / 0.25, 0, 1))
    cloud = noise.cloudy(rays[..., 0] * 9, slope * 34, 1.7)
    return surfaces.blend(blue, (246, 246, 242), np.clip(cloud * 2.6 - 1.3, 0, 0.7))


def _ground_colours(street: Street, x: Floats, y: Floats, noise: Noise) -> Floats:
    colours = np.zeros((len(x), 3), np.float32)
    for band in street.bands:
        here = (y >= band.near) & (y < band.far)
        across, along = y[here], x[here]
        if band.surface == "lawn":
            colours[here] = surfaces.lawn(along, across, noise)
        elif band.surface == "road":
            half_width = (band.far - band.near) / 2
            colours[here] = surfaces.asphalt(along, across, noise, band.middle, half_width)
        else:
            colours[here] = surfaces.paving(along, across, noise, street.slab, street.paving)
        edge = np.abs(y - band.near) < 0.11
        colours[edge] = surfaces.kerb(x[edge], y[edge], noise)
        # Dirt and contact shadow along the stones.
        colours *= 1 - 0.16 * np.exp(-(((y - band.near - 0.2) / 0.1) ** 2))[:, None]
    # Walls block light from the ground before them.
    colours *= 1 - 0.32 * np.exp(-np.maximum(street.front - y, 0) / 0.55)[:, None]
    return colours


def _shade(street: Street, x: Floats, y: Floats, noise: Noise) -> Floats:
    shade = np.zeros_like(x)
    sun_x, sun_y, sun_z = street.sun
    away_x, away_y = -sun_x / sun_z, -sun_y / sun_z  # where the shadow of one metre's height ends
    for tree in street.trees:
        centre = tree.trunk + 0.7 * tree.crown
        from_x, from_y = x - tree.x, y - tree.y
        height = (from_x * away_x + from_y * away_y) / (away_x**2 + away_y**2)
        # The shadow of a column of that height ends nearest to the point.
        aside = np.hypot(from_x - away_x * height, from_y - away_y * height)
        near = (np.abs(height - centre) < 4 * tree.crown) & (aside < 2 * tree.crown)
        beyond = (height[near] - centre) * np.hypot(away_x, away_y) * sun_z
        distance = np.hypot(beyond, aside[near]) / (1.15 * tree.crown)
        ragged = distance + 0.75 * (noise.cloudy(x[near] + tree.number, y[near], 0.7) - 0.5)
        shade[near] = np.maximum(shade[near], np.clip((1.02 - ragged) / 0.16, 0, 1))
        trunk = np.clip((0.17 - aside) / 0.08, 0, 1) * (height > 0) * (height < centre)
        shade = np.maximum(shade, trunk)
    dapples = np.clip(noise.cloudy(x + 3, y + 9, 0.45) * 3.2 - 1.9, 0, 1)
    shade *= 1 - 0.7 * dapples
    return shade


def _outline(tree: Tree, view: Viewpoint) -> tuple[slice, slice]:
    """Rows and columns of the oversampled frame that contain the tree."""
    reach, top = 1.6 * tree.crown, tree.trunk + 2.9 * tree.crown
    corners = [(tree.x + side, tree.y, z) for side in (-reach, reach) for z in (0.0, top)]
    pixels, _ = view.project(np.array(corners, np.float32))
    low = np.maximum(pixels.min(0) * OVERSAMPLING, 0).astype(int)
    high = np.maximum(pixels.max(0) * OVERSAMPLING + 2, 0).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


def _draw_tree(colours: Floats, tree: Tree, street: Street, rays: Floats, noise: Noise) -> Floats:
    """Draw a tree onto its part of the frame in place; return its opacity (h, w)."""
    distance = tree.y / rays[..., 1]
    x = distance * rays[..., 0] - tree.x
    z = street.viewpoint.height + distance * rays[..., 2]
    bend = 0.12 * np.sin(z * 1.1 + tree.number)
    radius = 0.13 + 0.11 * np.exp(-np.maximum(z, 0) / 0.3) - 0.015 * z
    soft = 0.025
    trunk = np.clip((radius - np.abs(x - bend)) / soft, 0, 1) * (z > 0) * (z < tree.trunk + 1)
    side = np.clip((x - bend) / 0.2 * np.sign(street.sun[0]), -1, 1)
    bark = 0.9 + 0.3 * side + 0.35 * (noise.smooth(x * 3, z * 0.5, 0.06) - 0.5)
    colours += trunk[..., None] * (surfaces.tint((104, 86, 68), bark) - colours)

    random = np.random.default_rng([street.seed, 7, tree.number])
    crown = np.zeros_like(x)
    leaves = 0.84 + 0.6 * (noise.smooth(x, z, 0.05) - 0.5)
    ragged = 0.6 * (noise.cloudy(x + 5 * tree.number, z, 0.34) - 0.5)
    for _ in range(16):  # clumps of leaves, from the back and top to the front and bottom
        angle, far = random.uniform(0, 2 * np.pi), np.sqrt(random.uniform(0, 1))
        clump_x = tree.crown * 0.95 * far * np.cos(angle)
        clump_z = tree.trunk + 0.85 * tree.crown * (1 + 0.75 * far * np.sin(angle))
        size = tree.crown * random.uniform(0.34, 0.52)
        away = np.hypot(x - clump_x, (z - clump_z) * 1.15) / size + ragged
        clump = np.clip((1 - away) / 0.1, 0, 1)
        light = ((x - clump_x) * np.sign(street.sun[0]) + 1.3 * (z - clump_z)) / size
        brightness = leaves + 0.17 * np.clip(light, -1.4, 1.4) + 0.05 * random.uniform(-1, 1)
        colours += clump[..., None] * (surfaces.tint(tree.leaves, brightness) - colours)
        crown = np.maximum(crown, clump)
    return np.maximum(trunk, crown).astype(np.float32)
