// Nothing is built of this package: it pins the crate whose C sources tools/setup copies.
