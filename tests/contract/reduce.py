"""GitHub's description cut down to what we speak, as JSON Schema that is as strict as can be.

`nullable` becomes a type of its own, `allOf` is merged, and every object that lists its properties
is closed: a field GitHub does not know is a mistake of ours.
"""

from __future__ import annotations

from typing import Any

from tests.contract.operations import OPERATIONS, WEBHOOKS, webhook_name

Schema = dict[str, Any]
_REF = "#/components/schemas/"
# What says nothing about validity, and `discriminator`, which repeats what anyOf says.
_PROSE = {"description", "title", "example", "examples", "externalDocs", "default", "deprecated",
          "discriminator", "xml", "readOnly", "writeOnly"}  # fmt: skip
# Fields GitHub sends that this version of the description does not list yet. githubkit's models
# of October 2026 require them.
_LABEL = {"color", "default", "name", "description"}
_NEWER_LABEL: Schema = {"archived_at": {}, "archived_by": {}}
# Closing and reopening stand in an issue's events too, with the fields the timeline describes.
_ALSO = {"issue-event-for-issue": ["state-change-issue-event"]}
# In one place the description asks an account to be both at once; everywhere else it is either.
_EITHER = {"Simple User", "Enterprise"}


def reduce(description: Schema) -> Schema:
    """`{"operations": …, "webhooks": …, "$defs": …}` of the operations and webhooks in use."""
    return Reduction(description).all()


class Reduction:
    """One pass over a description; schemas are converted as they are first referred to."""

    def __init__(self, description: Schema) -> None:
        self._paths = description["paths"]
        self._webhooks = description.get("webhooks") or description["x-webhooks"]
        self._components = description["components"]
        self._defs: dict[str, Any] = {}

    def all(self) -> Schema:
        """Everything in use."""
        operations = {name: self._operation(name) for name in OPERATIONS}
        names = [webhook_name(e, action) for e, actions in WEBHOOKS.items() for action in actions]
        webhooks = {name: self._webhook(name) for name in names}
        return {"operations": operations, "webhooks": webhooks, "$defs": self._defs}

    def _operation(self, name: str) -> Schema:
        method, path = name.split(" ")
        item = self._paths[path]
        operation = item[method.lower()]
        parameters = [*item.get("parameters", []), *operation.get("parameters", [])]
        found = [self._component(p) for p in parameters]
        return {
            "query": {p["name"]: self._schema(p["schema"]) for p in found if p["in"] == "query"},
            "required_query": [
                p["name"] for p in found if p["in"] == "query" and p.get("required")
            ],
            "body": self._content(operation.get("requestBody")),
            "responses": {
                status: self._content(self._component(response))
                for status, response in operation["responses"].items()
            },
        }

    def _webhook(self, name: str) -> Schema | None:
        return self._content(self._webhooks[name]["post"]["requestBody"])

    def _component(self, item: Schema) -> Schema:
        """A parameter or response, looked up if it is a reference."""
        if "$ref" not in item:
            return item
        kind, name = item["$ref"].split("/")[-2:]
        found: Schema = self._components[kind][name]
        return found

    def _content(self, item: Schema | None) -> Schema | None:
        """The JSON schema of a body; None when there is no body of JSON."""
        if item is None:
            return None
        for media, content in item.get("content", {}).items():
            if media == "application/json" or media.startswith("application/scim"):
                return self._schema(content["schema"])
        return None

    def _schema(self, schema: Schema) -> Schema:
        if "$ref" in schema:
            return {"$ref": f"#/$defs/{self._define(schema['$ref'])}"}
        if "allOf" in schema and _EITHER.issubset(part.get("title") for part in schema["allOf"]):
            schema = {"anyOf" if key == "allOf" else key: schema[key] for key in schema}
        if "allOf" in schema:
            schema = self._merged(schema)
        converted: Schema = {}
        for key, value in schema.items():
            if key in _PROSE or key.startswith("x-") or key == "nullable":
                continue
            converted[key] = self._part(key, value)
        if "properties" in converted:
            self._close(converted)
        return _or_null(converted) if schema.get("nullable") else converted

    def _part(self, key: str, value: Any) -> Any:
        if key == "properties":
            return {name: self._schema(item) for name, item in value.items()}
        if key in ("anyOf", "oneOf"):
            return [self._schema(item) for item in value]
        if key in ("items", "additionalProperties", "not") and isinstance(value, dict):
            return self._schema(value)
        return value

    def _define(self, reference: str) -> str:
        name = reference.removeprefix(_REF)
        if name not in self._defs:
            self._defs[name] = {}  # schemas may refer to themselves
            schema = self._components["schemas"][name]
            if name in _ALSO:
                also = [{"$ref": _REF + other} for other in _ALSO[name]]
                schema = schema | {"anyOf": schema["anyOf"] + also}
            self._defs[name] = self._schema(schema)
        return name

    def _merged(self, schema: Schema) -> Schema:
        """One object schema for an allOf of object schemas."""
        merged: Schema = {k: v for k, v in schema.items() if k != "allOf"}
        for branch in schema["allOf"]:
            part = branch
            while "$ref" in part:
                part = self._components["schemas"][part["$ref"].removeprefix(_REF)]
            if "allOf" in part:
                part = self._merged(part)
            merged = _union(merged, part)
        return merged

    def _close(self, schema: Schema) -> None:
        if schema.keys() & {"anyOf", "oneOf"}:
            return  # the branches say more about the same object
        if schema["properties"].keys() >= _LABEL:
            schema["properties"] |= _NEWER_LABEL
        schema.setdefault("additionalProperties", False)


def _union(one: Schema, other: Schema) -> Schema:
    both = {**one, **other}
    properties = dict(one.get("properties", {}))
    for name, schema in other.get("properties", {}).items():
        # An empty `{"nullable": true}` repeats a property only to name it.
        says_more = schema.keys() - {"nullable", "description"}
        properties[name] = schema if says_more or name not in properties else properties[name]
    if properties:
        both["properties"] = properties
        both["required"] = sorted({*one.get("required", []), *other.get("required", [])})
    return both


def _or_null(schema: Schema) -> Schema:
    if isinstance(schema.get("type"), str) and not schema.keys() & {"anyOf", "oneOf"}:
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
        return schema
    return {"anyOf": [schema, {"type": "null"}]}
