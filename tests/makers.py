"""Small data that tests make for themselves: clips, folders of images, made data sets."""
