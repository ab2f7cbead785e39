"""The answer of a study for readers: one page, as Markdown and as HTML with charts."""
