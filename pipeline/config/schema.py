"""The configuration's JSON schema, for editors and other programs."""

import json

from pipeline.config.model import Config


def config_schema() -> str:
    """JSON schema of the configuration file, as committed in docs/config.schema.json."""
    schema = Config.model_json_schema()
    source = schema["$defs"]["SourceSection"]
    # A validator takes a plain string for the url; the schema cannot know that by itself.
    schema["$defs"]["SourceSection"] = {"anyOf": [{"type": "string"}, source]}
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Vedette configuration"
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
