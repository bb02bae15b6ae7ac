// Drives a browser, for tests and for pictures of figures. It brings no browser with it.

export * from "npm:playwright-core@1.65.1";
