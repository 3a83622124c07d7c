/* watch.js URL: prints each message. All that confirms one is the PONG that ws sends by itself. */
"use strict";

const WebSocket = require("ws");
const socket = new WebSocket(process.argv[2]);

socket.on("message", (message) => console.log(message.toString()));
socket.on("close", (code, reason) => console.error(`closed: ${code} ${reason}`));
