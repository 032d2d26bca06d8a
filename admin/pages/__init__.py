"""The web admin's pages, one a file: each reads through the operations of `admin.api` and fills a template."""
