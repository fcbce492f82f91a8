window.ui = SwaggerUIBundle({
  url: "/v1/openapi.json",
  dom_id: "#documentation",
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
  presets: [SwaggerUIBundle.presets.apis],
});
