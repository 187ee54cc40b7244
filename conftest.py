"""Nothing but the plugin: options, fixtures and reports live in `vitgate.plugin`."""

pytest_plugins = ("vitgate.plugin",)
