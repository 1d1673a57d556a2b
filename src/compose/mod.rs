//! From a compose file to a `Project`; refuses by name, with file and line, what it does not honour.
