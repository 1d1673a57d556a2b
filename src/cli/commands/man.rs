//! `deploy-apps man`: man pages from the same texts as `--help`.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::exit::{Exit, Failure};
use crate::cli::help;
use crate::cli::output;

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  deploy-apps man | man -l -                  read it
  deploy-apps man --out /usr/share/man/man1   install all pages, one for each command")]
pub struct ManArgs {
    /// Write every page into this folder, instead of the first one to standard output
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Prints the main page, or writes all pages.
pub fn run(args: &ManArgs, grammar: Command) -> Result<Exit, Failure> {
    let mut root = grammar.disable_help_subcommand(true);
    root.build();
    let cannot = |error: io::Error, place: &str| {
        Failure::new(Exit::Failed, format!("the manual cannot be written to {place}: {error}"))
            .hint("name a folder that you may write to")
    };
    match &args.out {
        Some(folder) => write_all(&root, folder).map_err(|error| cannot(error, &format!("`{}`", folder.display())))?,
        None => output::result(&page(&root, true).map_err(|error| cannot(error, "memory"))?)?,
    }
    Ok(Exit::Done)
}

fn write_all(root: &Command, folder: &Path) -> io::Result<()> {
    fn walk(command: &Command, folder: &Path, is_root: bool) -> io::Result<()> {
        let name = command.get_display_name().unwrap_or_else(|| command.get_name());
        std::fs::write(folder.join(format!("{name}.1")), page(command, is_root)?)?;
        command.get_subcommands().filter(|below| !below.is_hide_set()).try_for_each(|below| walk(below, folder, false))
    }
    std::fs::create_dir_all(folder)?;
    walk(root, folder, true)
}

fn page(command: &Command, is_root: bool) -> io::Result<Vec<u8>> {
    let version = env!("CARGO_PKG_VERSION");
    let man = Man::new(command.clone()).manual("deploy-apps").source(format!("deploy-apps {version}"));
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if command.get_subcommands().any(|below| !below.is_hide_set()) {
        man.render_subcommands_section(&mut out)?;
    }
    let after = if is_root {
        Some(help::EXAMPLES.trim_end_matches("Exit codes:").trim_end().to_owned())
    } else {
        command.get_after_help().map(ToString::to_string)
    };
    if let Some(examples) = after {
        let text = examples.strip_prefix("Examples:\n").unwrap_or(&examples);
        as_it_is(if text.len() < examples.len() { "EXAMPLES" } else { "NOTES" }, text).to_writer(&mut out)?;
    }
    let exits: Vec<(String, &str)> = Exit::ALL.iter().map(|exit| ((*exit as u8).to_string(), exit.meaning())).collect();
    let exits: Vec<(&str, &str)> = exits.iter().map(|(code, meaning)| (code.as_str(), *meaning)).collect();
    entries("EXIT STATUS", &exits).to_writer(&mut out)?;
    if is_root {
        entries("ENVIRONMENT", help::ENVIRONMENT).to_writer(&mut out)?;
        entries("FILES", help::FILES).to_writer(&mut out)?;
    } else {
        let mut also = Roff::new();
        also.control("SH", ["SEE ALSO"]).text([bold("deploy-apps"), roman("(1)")]);
        also.to_writer(&mut out)?;
    }
    Ok(in_ascii(&String::from_utf8_lossy(&out)).into_bytes())
}

/// Escapes non-ASCII characters, so that the page does not depend on the locale.
fn in_ascii(page: &str) -> String {
    let mut ascii = String::with_capacity(page.len());
    for c in page.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            ascii.push_str(&format!("\\[u{:04X}]", u32::from(c)));
        }
    }
    ascii
}

/// Preformatted text: examples are aligned by hand.
fn as_it_is(title: &str, text: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title]).control("nf", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff
}

fn entries(title: &str, entries: &[(&str, &str)]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    for (name, what) in entries {
        roff.control("TP", []).text([bold(*name)]).text([roman(what.replace('`', ""))]);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Command {
        let mut root = crate::cli::command().disable_help_subcommand(true);
        root.build();
        root
    }

    #[test]
    fn the_first_page_has_every_section() {
        let page = String::from_utf8(page(&root(), true).expect("written")).expect("text");
        let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
        let wanted = [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "SUBCOMMANDS",
            "EXAMPLES",
            "\"EXIT STATUS\"",
            "ENVIRONMENT",
            "FILES",
        ];
        assert_eq!(sections, wanted);
        for (name, _) in help::ENVIRONMENT {
            assert!(page.contains(&name.replace('-', "\\-")), "{name}");
        }
    }

    #[test]
    fn every_command_has_a_page() {
        let folder = tempfile::tempdir().expect("a folder");
        write_all(&root(), folder.path()).expect("written");
        for name in ["deploy-apps.1", "deploy-apps-deploy.1", "deploy-apps-proxy-upgrade.1", "deploy-apps-man.1"] {
            let text = std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
            assert!(text.is_ascii(), "{name}");
            assert!(text.contains(".SH \"EXIT STATUS\"") && text.contains(".SH SYNOPSIS"), "{name}\n{text}");
        }
    }
}
