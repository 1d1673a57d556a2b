//! Lists the files that the binary carries, so that a new one cannot be forgotten: the proxy's image and the schemas.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=nginx");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("nginx");
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    // A stable order makes a stable digest.
    files.sort();
    let mut list = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&root).unwrap_or(file);
        let _ = writeln!(list, "    ({:?}, include_bytes!({:?})),", name, file);
    }
    list.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("proxy_files.rs"), list)?;
    fs::write(out.join("schemas.rs"), schemas()?)
}

/// Name and text of each published schema, by name.
fn schemas() -> io::Result<String> {
    println!("cargo::rerun-if-changed=docs/schema");
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("docs/schema");
    let mut files = Vec::new();
    collect(&folder, &mut files)?;
    files.sort();
    let mut list = String::from("&[\n");
    for file in &files {
        let name = file.file_stem().unwrap_or_default();
        let _ = writeln!(list, "    ({name:?}, include_str!({file:?})),");
    }
    list.push_str("]\n");
    Ok(list)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_none_or(|extension| extension != "md") {
            // Words about the proxy are not part of it: they must not make a new build of it.
            files.push(path);
        }
    }
    Ok(())
}
