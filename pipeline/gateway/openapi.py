"""Print the OpenAPI document: `python -m pipeline.gateway.openapi > docs/openapi.json`."""

import json

from pipeline.gateway.app import openapi_document

if __name__ == "__main__":
    print(json.dumps(openapi_document(), indent=2, ensure_ascii=False))
