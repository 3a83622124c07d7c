"""A headless Chromium, driven over the DevTools protocol: one page, expressions evaluated in it.

Nothing is asked of the page but what a person at the console could ask. The browser gets an empty profile of its own
and ends with the `with` block.
"""
import asyncio
import contextlib
import functools
import http.server
import itertools
import json
import pathlib
import shutil
import subprocess
import tempfile
import threading
import urllib.request

import websockets

PROGRAM = shutil.which("chromium")
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
           "--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0"]


@contextlib.contextmanager
def serving_pages():
    """The origin at which this folder is to be had."""
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(
        Handler, directory=pathlib.Path(__file__).parent))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Chromium:
    """`async with Chromium() as browser`: browser.open(url), then browser.ask(expression)."""

    def __init__(self):
        self.profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        self.numbers = itertools.count(1)

    async def __aenter__(self):
        self.log = open(pathlib.Path(self.profile.name) / "log", "wb")
        self.popen = subprocess.Popen([PROGRAM, *OPTIONS, f"--user-data-dir={self.profile.name}", "about:blank"],
                                      stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        try:
            self.page = await websockets.connect(await self._address(), max_size=None, ping_interval=None)
        except BaseException:
            self._end()
            raise
        return self

    async def __aexit__(self, *_):
        await self.page.close()
        self._end()

    def _end(self):
        self.popen.terminate()
        self.popen.wait(20)
        self.log.close()
        self.profile.cleanup()

    async def _address(self, patience=30):
        """The page's own DevTools address, when the browser has written down its port."""
        told = pathlib.Path(self.profile.name) / "DevToolsActivePort"
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            try:
                port = told.read_text().split()[0]
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=patience) as answer:
                    return next(page for page in json.load(answer) if page["type"] == "page")["webSocketDebuggerUrl"]
            except (OSError, IndexError, StopIteration):
                assert self.popen.poll() is None, "chromium ended"
                assert asyncio.get_running_loop().time() < deadline, "chromium opened no page"
                await asyncio.sleep(0.05)

    async def _call(self, method, **parameters):
        number = next(self.numbers)
        await self.page.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(await asyncio.wait_for(self.page.recv(), 60))
            if answer.get("id") == number:
                return answer

    async def open(self, url):
        answer = await self._call("Page.navigate", url=url)
        assert "errorText" not in answer["result"], answer

    async def ask(self, expression):
        """The value of an expression in the page; None when the page went away under it."""
        answer = await self._call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        result = answer.get("result", {})
        if "exceptionDetails" in result or "result" not in result:
            return None
        return result["result"].get("value")
