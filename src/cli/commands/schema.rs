//! `deploy-apps schema`: prints the published schemas, which are embedded in the binary.

use clap::Args;

use crate::cli::exit::{Exit, Failure};
use crate::cli::output;

/// Name and text of each file of `docs/schema/`.
const SCHEMAS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/schemas.rs"));

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  deploy-apps schema --list                                what there is
  deploy-apps schema compose > compose.schema.json         for an editor; then write at the top of compose.yaml
                                                           # yaml-language-server: $schema=compose.schema.json
  deploy-apps schema events                                each line that `--format json` writes")]
pub struct SchemaArgs {
    /// Which one, such as `compose`, `x-deploy-apps` or `events`
    #[arg(value_name = "SCHEMA", required_unless_present = "list")]
    pub name: Option<String>,
    /// Name all of them
    #[arg(long, conflicts_with = "name")]
    pub list: bool,
}

/// The names, for completions.
pub fn names() -> impl Iterator<Item = &'static str> {
    SCHEMAS.iter().map(|(name, _)| *name)
}

/// Prints one schema, or all names with their titles.
pub fn run(args: &SchemaArgs) -> Result<Exit, Failure> {
    let Some(wanted) = &args.name else {
        let width = names().map(str::len).max().unwrap_or(0);
        for (name, text) in SCHEMAS {
            let schema: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
            outln!("{name:width$}  {}", schema["title"].as_str().unwrap_or_default());
        }
        return Ok(Exit::Done);
    };
    match SCHEMAS.iter().find(|(name, _)| name == wanted) {
        Some((_, text)) => {
            output::result(text.as_bytes())?;
            Ok(Exit::Done)
        }
        None => {
            let near = crate::compose::nearest(wanted, names());
            let hint = near.map_or_else(
                || "`deploy-apps schema --list` names all".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            Err(Failure::new(Exit::Usage, format!("there is no schema `{}`", wanted.escape_debug())).hint(hint))
        }
    }
}
