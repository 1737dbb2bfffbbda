#!/usr/bin/env python3
"""Asks a running Parlor what its OpenAPI document describes, and compares the answers with it. For every operation, as a member, a
moderator and an administrator: what the document allows, and what it does not. One case per operation.

Runs inside tools/schema (scripts/setup). PARLOR_BIN: the program, target/debug/parlor. SCHEMA_EXAMPLES: how many requests of each
kind per operation and role. SCHEMA_SEED: where chance begins. Arguments: parts of operations' names ("POST /api/v1/rooms"), to ask
these alone.
"""

import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import uuid
import warnings

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BINARY = os.environ.get("PARLOR_BIN", os.path.join(ROOT, "target/debug/parlor"))
EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "5"))
SEED = int(os.environ.get("SCHEMA_SEED", "1"))
# How long anything may take, in seconds: a debug program on a busy machine.
PATIENCE_S = 60
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
# What cannot be asked this way, and why.
LEFT_OUT = {
    "POST /api/v1/rooms/{roomId}/whip": "takes an SDP offer of a real publisher; tests/it/streams.rs makes them",
    "POST /api/v1/rooms/{roomId}/whep": "the same, of a player",
    "PATCH /api/v1/rooms/{roomId}/whip/{sessionId}": "lives as long as its media",
    "PATCH /api/v1/rooms/{roomId}/whep/{sessionId}": "the same",
    "DELETE /api/v1/rooms/{roomId}/whip/{sessionId}": "the same",
    "DELETE /api/v1/rooms/{roomId}/whep/{sessionId}": "the same",
    "POST /api/v1/uploads": "tus and forms; tests/it/uploads.rs sends them",
    "PATCH /api/v1/uploads/{fileId}": "bytes at the right offset; tests/it/uploads.rs sends them",
    "HEAD /api/v1/uploads/{fileId}": "its headers belong to tus; tests/it/uploads.rs reads them",
}
ROLES = ["member", "moderator", "administrator"]


class Server:
    """A server of our own on free ports, with a folder that goes with it."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="parlor-schema-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLOR_")}
        environment |= {
            "PARLOR_LISTEN": f"127.0.0.1:{port}",
            "PARLOR_DATA_DIR": self.folder.name,
            "PARLOR_MEDIA_PORT": "0",
            "PARLOR_MEDIA_TCP_PORT": "0",
            "PARLOR_TURN__STUN_LISTEN": "off",
            "PARLOR_ANNOUNCED_ADDRESS": "127.0.0.1",
            # Limits have tests of their own.
            "PARLOR_LIMIT_EXEMPT": "127.0.0.0/8",
        }
        self.log = open(os.path.join(self.folder.name, "log"), "w+")
        self.process = subprocess.Popen([BINARY, "serve"], env=environment, stdout=self.log, stderr=self.log)
        self.admin_secret = self.read_secret()

    def read_secret(self):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            with open(self.log.name) as log:
                link = re.search(r"admin link: \S+/claim/(\S+)", log.read())
            if link:
                return link.group(1)
            time.sleep(0.05)
        sys.exit(f"The server did not start:\n{open(self.log.name).read()}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()
        self.folder.cleanup()


class Person:
    """Somebody who has entered."""

    def __init__(self, base, name):
        self.base, self.http = base, requests.Session()
        entrance = {"nickname": f"{name}-{uuid.uuid4().hex[:12]}", "birthYear": 1990, "adult": True}
        login = self.http.post(f"{base}/api/v1/auth/anonymous", json=entrance, timeout=PATIENCE_S).json()
        self.id, self.token, self.refresh_token = login["user"]["id"], login["accessToken"], login["refreshToken"]
        self.http.headers["Authorization"] = f"Bearer {self.token}"

    def ask(self, method, path, body=None, **more):
        answer = self.http.request(method, f"{self.base}/api/v1{path}", json=body, timeout=PATIENCE_S, **more)
        if answer.status_code >= 400:
            raise AssertionError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None


class World:
    """A person with all that one can have: what an operation names exists, and nobody misses it when it is gone."""

    def __init__(self, base, chief, role):
        self.who, other = Person(base, role), Person(base, "other")
        if role != "member":
            chief.ask("PUT", f"/users/{self.who.id}/role", {"role": role})
        who = self.who
        room = who.ask("POST", "/rooms", {"kind": "group", "name": "Friday", "visibility": "public"})["id"]
        other.ask("POST", f"/rooms/{room}/join", {})
        call_room = who.ask("POST", "/rooms", {"kind": "call", "name": "Call", "visibility": "public"})["id"]
        message = self.message(who, room, {"text": "hello #tag"})
        poll = {"question": "When?", "options": [{"text": "now"}, {"text": "later"}]}
        poll_message = self.message(who, room, {"poll": poll})
        who.ask("PUT", f"/rooms/{room}/messages/{message}/reactions/%F0%9F%91%8D")
        invite = who.ask("POST", f"/rooms/{room}/invites", {})
        key = who.ask("POST", f"/rooms/{call_room}/stream-keys", {"name": "Camera", "kind": "publish"})
        direct = who.ask("POST", "/dms", {"userId": other.id})["room"]["id"]
        upload = who.ask("POST", "/uploads", files={"file": ("note.txt", b"hello, file", "text/plain")})
        who.ask("POST", "/reports", {"targetType": "user", "targetId": other.id, "reason": "spam"})
        cases = chief.ask("GET", "/moderation/cases")["cases"]
        session = who.ask("GET", "/auth/sessions")["sessions"][0]
        self.known = {
            "roomId": [room, call_room, direct],
            "userId": [other.id, who.id],
            "messageId": [message, poll_message],
            "inviteId": [invite["inviteId"]],
            "code": [invite["code"]],
            "keyId": [key["keyId"]],
            "fileId": [upload.get("fileId") or upload["id"]],
            "caseId": [it.get("caseId") or it["id"] for it in cases][:2],
            "sessionId": [session["sessionId"]],
            "callId": [who.ask("GET", f"/rooms/{call_room}/call")["callId"]],
            "emoji": ["👍"],
            "If-Match": ['"0"', '"1"'],
            "refreshToken": [who.refresh_token],
        }
        self.known |= {"targetId": self.known["userId"] + self.known["messageId"], "userIds": [[other.id]]}
        self.known |= {name: self.known["messageId"] for name in ("threadId", "replyTo", "before", "after", "around")}

    @staticmethod
    def message(who, room, content):
        body = {"clientId": uuid.uuid4().hex, "content": content}
        return who.ask("POST", f"/rooms/{room}/messages", body)["id"]

    def put_into(self, case, chance):
        """Names what there is where a name was made up. Most made-up ids name nothing, which says little."""
        for place in (case.path_parameters, case.headers, case.query):
            for name in place or {}:
                if self.known.get(name) and chance.random() < 0.8:
                    place[name] = chance.choice(self.known[name])
        if isinstance(case.body, dict):
            for name in case.body:
                if self.known.get(name) and chance.random() < 0.7:
                    case.body[name] = chance.choice(self.known[name])


def try_operation(operation, name, server, chief, roles):
    """Asks; raises what was not as described."""
    for role in roles:
        world = World(server.base, chief, role)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            strategy = operation.as_strategy(generation_mode=mode)
            chance = random.Random(f"{SEED} {name} {role} {mode}")

            @seed(SEED)
            @settings(
                max_examples=EXAMPLES,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=strategy)
            def ask(case):
                world.put_into(case, chance)
                headers = {"Authorization": f"Bearer {world.who.token}"}
                response = case.call(base_url=server.base, headers=headers, timeout=PATIENCE_S)
                case.validate_response(response, checks=CHECKS)

            try:
                ask()
            except Exception as problem:
                if type(problem).__name__ == "Unsatisfiable":
                    # Nothing can be said to it that the document does not allow.
                    continue
                raise


def main():
    warnings.simplefilter("ignore")
    server, began = Server(), time.monotonic()
    try:
        chief = Person(server.base, "chief")
        chief.ask("POST", "/auth/claim", {"secret": server.admin_secret})
        document = requests.get(f"{server.base}/api/v1/openapi.json", timeout=PATIENCE_S).json()
        schema = schemathesis.openapi.from_dict(document)
        passed, failed = 0, []
        for result in schema.get_all_operations():
            if not hasattr(result, "ok"):
                failed.append(str(result.err()))
                print(f"✗ {result.err()}")
                continue
            operation = result.ok()
            name = f"{operation.method.upper()} {operation.path}"
            if name in LEFT_OUT or (sys.argv[1:] and not any(part in name for part in sys.argv[1:])):
                continue
            try:
                try_operation(operation, name, server, chief, ROLES)
                passed += 1
            except BaseException as problem:  # noqa: BLE001  (groups of failures are among them)
                if isinstance(problem, KeyboardInterrupt):
                    raise
                failed.append(name)
                print(f"✗ {name}", flush=True)
                traceback.print_exception(problem, limit=-2)
        for name in LEFT_OUT:
            method, path = name.split()
            if method.lower() not in document["paths"].get(path, {}):
                failed.append(name)
                print(f"✗ {name} is left out, but not there.")
        print(f"schema: {passed} passed, {len(failed)} failed in {time.monotonic() - began:.0f} s")
        sys.exit(1 if failed else 0)
    finally:
        server.stop()


main()
