"""Send events with the official Python SDK of CloudEvents, and print what it reads back.

    client.py <url> <events.json>

The file is a list of {mode, attributes, data}; data is {json}, {text} or {base64}, or absent. Printed is a list of
{attributes, data}, in the order of the file; events of mode "batch" are sent as one.
"""
import base64
import http.client
import json
import sys

from cloudevents.conversion import to_binary, to_json, to_structured
from cloudevents.http import CloudEvent, from_http


def made(item):
    """The SDK's event. Its JSON data is a value, its text a str, everything else bytes."""
    data = item.get("data", {})
    content = data.get("json", data.get("text"))
    if "base64" in data:
        content = base64.b64decode(data["base64"])
    return CloudEvent(item["attributes"], content)


def text_or_bytes(content):
    """What stands for the data in binary mode: the SDK's own way would put text in quotes."""
    return content if isinstance(content, (str, bytes)) or content is None else json.dumps(content)


def ask(server, method, path, body=None, headers=None):
    """The answer's headers and body. A refusal ends the program, with what the server said of it."""
    connection = http.client.HTTPConnection(server, timeout=30)  # urllib would add a content type
    connection.request(method, path, body, dict(headers or {}))
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if answer.status not in (200, 202):
        sys.exit(f"{answer.status} {content.decode()}")
    return dict(answer.headers), content


def send(server, item):
    event = made(item)
    if item["mode"] == "binary":
        headers, body = to_binary(event, data_marshaller=text_or_bytes)
    else:
        headers, body = to_structured(event)
    ask(server, "POST", "/events", body, headers)


def read(server, item):
    """What the SDK makes of the server's answer, its content's kind named."""
    event = from_http(*ask(server, "GET", f"/events/{item['attributes']['id']}"))
    data = {}
    if isinstance(event.data, bytes):
        data = {"base64": base64.b64encode(event.data).decode()}
    elif event.data is not None:
        data = {"text" if isinstance(event.data, str) else "json": event.data}
    return {"attributes": dict(event.get_attributes()), "data": data}


def main():
    url, path = sys.argv[1:]
    server = url.removeprefix("http://")
    with open(path, encoding="utf-8") as file:
        items = json.load(file)
    batch = [made(item) for item in items if item["mode"] == "batch"]
    if batch:
        ask(server, "POST", "/events", b"[" + b",".join(to_json(event) for event in batch) + b"]",
            {"content-type": "application/cloudevents-batch+json"})
    for item in items:
        if item["mode"] != "batch":
            send(server, item)
    print(json.dumps([read(server, item) for item in items]))


if __name__ == "__main__":
    main()
