//! The proxy: the client of its control API, and its embedded image.
