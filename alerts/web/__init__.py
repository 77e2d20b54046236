"""The pages: thin routes that parse, call and render. Nothing is decided here but who may see."""
