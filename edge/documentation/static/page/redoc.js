import { init } from "/docs/assets/redoc/redoc.standalone.js";

init("/v1/openapi.json", { disableTelemetry: true }, document.getElementById("documentation"));
