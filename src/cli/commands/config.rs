//! `deploy-apps config`: prints the merged compose files.

use clap::Args;

use crate::cli::common::{CommonArgs, Format};
use crate::cli::context::load_request;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::compose;

#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// Print only these services, and nothing else of the files
    #[arg(value_name = "SERVICE")]
    pub only: Vec<String>,
    /// Only say whether a deploy would take the files
    #[arg(short, long)]
    pub quiet: bool,
    /// Leave variables as they are written
    #[arg(long)]
    pub no_interpolate: bool,
    #[command(flatten)]
    pub list: ListArgs,
}

/// One name a line, instead of the model.
#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
pub struct ListArgs {
    /// List the services that take part
    #[arg(long)]
    pub services: bool,
    /// List the images of the services
    #[arg(long)]
    pub images: bool,
    /// List the volumes
    #[arg(long)]
    pub volumes: bool,
    /// List the profiles, active or not
    // The id `profiles` belongs to the global option.
    #[arg(long = "profiles", id = "list_profiles")]
    pub profiles: bool,
    /// List the variables that the files may use, with their values
    #[arg(long)]
    pub environment: bool,
}

/// Reads only the files, not the engine.
pub fn run(common: &CommonArgs, args: &ConfigArgs) -> Result<Exit, Failure> {
    let mut request = load_request(common)?;
    request.named = args.only.clone();
    if args.quiet {
        request.needs = compose::Needs::All;
        for warning in compose::load(&request)?.warnings {
            errln!("{warning}");
        }
        return Ok(Exit::Done);
    }
    let mut config = compose::config(&request, !args.no_interpolate)?;
    for warning in &config.warnings {
        errln!("{warning}");
    }
    let known = config.services();
    if let Some(unknown) = args.only.iter().find(|name| !known.contains(name)) {
        return Err(Failure::new(Exit::Usage, format!("unknown service `{unknown}`"))
            .hint(format!("the services are: {}", known.join(" "))));
    }
    if !args.only.is_empty()
        && let Some(services) = config.model["services"].as_object_mut()
    {
        services.retain(|name, _| args.only.contains(name));
    }
    let list = &args.list;
    let lines = if list.services {
        config.services()
    } else if list.images {
        config.images()
    } else if list.volumes {
        config.volumes()
    } else if list.profiles {
        config.profiles
    } else if list.environment {
        config.environment.iter().map(|(name, value)| format!("{name}={value}")).collect()
    } else if common.format() == Format::Json {
        // No `v` field here: the document is a compose file, which has its own schema.
        vec![serde_json::to_string_pretty(&config.model).unwrap_or_default()]
    } else {
        vec![config.yaml().trim_end().to_owned()]
    };
    let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    output::result(text.as_bytes())?;
    Ok(Exit::Done)
}
