use std::process::ExitCode;

fn main() -> ExitCode {
    deploy_apps::cli::main()
}
