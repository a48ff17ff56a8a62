"""A client of basedpyright's language server, so far as to ask for the references of a symbol."""

import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote


class Server:
    """A running server for one folder. Lines and columns count from 1, as everywhere here."""

    def __init__(self, command: str, root: Path) -> None:
        self.root = root.resolve()
        self.process = subprocess.Popen([command, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.number = 0
        folder = {"uri": self.root.as_uri(), "name": "root"}
        abilities = {"workspace": {"configuration": True, "workspaceFolders": True}}
        self.ask(
            "initialize",
            {"processId": None, "rootUri": folder["uri"], "capabilities": abilities, "workspaceFolders": [folder]},
        )
        self._send({"method": "initialized", "params": {}})

    def close(self) -> None:
        self.ask("shutdown", None)
        self._send({"method": "exit"})
        self.process.wait(20)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()

    def open(self, path: str) -> str:
        """Tell the server of a file, which it may not have come to yet; its address."""
        file = self.root / path
        document = {"uri": file.as_uri(), "languageId": "python", "version": 1, "text": file.read_text("utf-8")}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        return file.as_uri()

    def references(self, path: str, line: int, column: int) -> set[tuple[str, int, int]]:
        """Path, line and column of all that the server says of the symbol at a place, its definition among them."""
        uri = self.open(path)
        found = self.ask(
            "textDocument/references",
            {
                "textDocument": {"uri": uri},
                "position": {"line": line - 1, "character": column - 1},
                "context": {"includeDeclaration": True},
            },
        )
        return {self._place(each) for each in found or ()}

    def ask(self, method: str, params: Any) -> Any:
        self.number += 1
        self._send({"id": self.number, "method": method, "params": params})
        while True:
            message = self._receive()
            if "method" in message and "id" in message:
                items = (message.get("params") or {}).get("items", [])
                self._send({"id": message["id"], "result": [None] * len(items) if items else None})
            elif message.get("id") == self.number:
                return message.get("result")

    def _place(self, location: Any) -> tuple[str, int, int]:
        path = Path(unquote(location["uri"].removeprefix("file://")))
        start = location["range"]["start"]
        return str(path.relative_to(self.root)), start["line"] + 1, start["character"] + 1

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        length = 0
        while line := self.process.stdout.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        message: dict[str, Any] = json.loads(self.process.stdout.read(length))
        return message
