"""A headless Chromium, driven over the DevTools protocol: pages, and expressions evaluated in them.

Nothing is asked of a page but what a person at the console, the keyboard and the window's edges could ask. The browser
gets an empty profile of its own and ends with the `with` block.
"""
import asyncio
import base64
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
def serving_pages(folder=pathlib.Path(__file__).parent):
    """The origin at which this folder is to be had."""
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(
        Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Tab:
    """A page: tab.open(url), then tab.ask(expression)."""

    def __init__(self, page, numbers):
        self.page = page
        self.numbers = numbers

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

    async def first_of_all(self, script):
        """Runs in every page of this tab from now on, before what the page itself brings."""
        await self._call("Page.enable")
        await self._call("Page.addScriptToEvaluateOnNewDocument", source=script)

    async def resize(self, width, height=800):
        """The window, without the room that a desktop's scroll bars take."""
        await self._call("Emulation.setScrollbarsHidden", hidden=True)
        await self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                         mobile=False)

    async def prefer(self, **features):
        """Media features, as prefer(color_scheme="dark")."""
        await self._call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-" + name.replace("_", "-"), "value": value} for name, value in features.items()])

    async def offline(self, offline):
        await self._call("Network.enable")
        await self._call("Network.emulateNetworkConditions", offline=offline, latency=0, downloadThroughput=-1,
                         uploadThroughput=-1)

    async def press(self, key, code=None, text=None):
        """One key, as a keyboard gives it: press("Tab"), press("a", "KeyA", "a")."""
        about = {"key": key, "code": code or key, **({"text": text} if text else {}),
                 "windowsVirtualKeyCode": {"Tab": 9, "Enter": 13, " ": 32, "ArrowRight": 39, "ArrowDown": 40}.get(key, 0)}
        await self._call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **about)
        await self._call("Input.dispatchKeyEvent", type="keyUp", **about)

    async def write(self, text):
        """Into what has the focus."""
        await self._call("Input.insertText", text=text)

    async def screenshot(self, path):
        """The whole page, however long it is."""
        whole = (await self._call("Page.getLayoutMetrics"))["result"]["cssContentSize"]
        beyond = await self.ask("document.documentElement.scrollHeight > innerHeight")
        answer = await self._call("Page.captureScreenshot", captureBeyondViewport=beyond, clip={**whole, "scale": 1})
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(answer["result"]["data"]))


class Chromium(Tab):
    """`async with Chromium() as browser`: its first page, and more of them by browser.another(…)."""

    def __init__(self):
        super().__init__(None, itertools.count(1))
        self.profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        self.others = []
        self.whole = None

    async def __aenter__(self):
        self.log = open(pathlib.Path(self.profile.name) / "log", "wb")
        self.popen = subprocess.Popen([PROGRAM, *OPTIONS, f"--user-data-dir={self.profile.name}", "about:blank"],
                                      stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        try:
            self.page = await self._connect(await self._address())
        except BaseException:
            self._end()
            raise
        return self

    async def __aexit__(self, *_):
        for tab in (self, *self.others):
            await tab.page.close()
        self._end()

    def _end(self):
        self.popen.terminate()
        self.popen.wait(20)
        self.log.close()
        self.profile.cleanup()

    @staticmethod
    async def _connect(address):
        return await websockets.connect(address, max_size=None, ping_interval=None)

    async def stranger(self):
        """Names a profile that shares nothing with what else the browser has seen."""
        return (await self._command("Target.createBrowserContext"))["browserContextId"]

    async def another(self, profile):
        """One more tab, in a profile that stranger() named."""
        made = await self._command("Target.createTarget", url="about:blank", browserContextId=profile)
        tab = Tab(await self._connect(await self._address(made["targetId"])), itertools.count(1))
        self.others.append(tab)
        return tab

    async def forget(self, profile):
        """Ends its tabs, too."""
        await self._command("Target.disposeBrowserContext", browserContextId=profile)

    async def _command(self, method, **parameters):
        """Of the browser as a whole, which has an address of its own beside its port."""
        if self.whole is None:
            port, path = (pathlib.Path(self.profile.name) / "DevToolsActivePort").read_text().split()
            self.whole = Tab(await self._connect(f"ws://127.0.0.1:{port}{path}"), itertools.count(1))
            self.others.append(self.whole)
        return (await self.whole._call(method, **parameters))["result"]

    async def _address(self, target=None, patience=30):
        """A page's own DevTools address, when the browser has written down its port; of any page, or of this one."""
        told = pathlib.Path(self.profile.name) / "DevToolsActivePort"
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            try:
                port = told.read_text().split()[0]
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=patience) as answer:
                    return next(page for page in json.load(answer) if page["type"] == "page"
                                and target in (None, page["id"]))["webSocketDebuggerUrl"]
            except (OSError, IndexError, StopIteration):
                assert self.popen.poll() is None, "chromium ended"
                assert asyncio.get_running_loop().time() < deadline, "chromium opened no page"
                await asyncio.sleep(0.05)
