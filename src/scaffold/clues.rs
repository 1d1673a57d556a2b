//! Finds ports and health paths in commands, variables and health checks.

/// Options whose value is a port or an address with a port.
const OPTIONS: [&str; 17] = [
    "--port",
    "-port",
    "-p",
    "--http-port",
    "--http_port",
    "--listen-port",
    "--server.port",
    "--bind",
    "-b",
    "--listen",
    "-l",
    "--addr",
    "-addr",
    "--address",
    "--http-address",
    "-s",
    "runserver",
];
/// Default ports of some programs.
const DEFAULTS: [(&str, u16); 26] = [
    ("manage.py runserver", 8000),
    ("gunicorn", 8000),
    ("uvicorn", 8000),
    ("hypercorn", 8000),
    ("daphne", 8000),
    ("fastapi", 8000),
    ("granian", 8000),
    ("waitress-serve", 8080),
    ("flask run", 5000),
    ("http.server", 8000),
    ("streamlit run", 8501),
    ("jupyter", 8888),
    ("rails s", 3000),
    ("rails server", 3000),
    ("puma", 9292),
    ("rackup", 9292),
    ("artisan serve", 8000),
    ("octane:start", 8000),
    ("next start", 3000),
    ("next dev", 3000),
    ("nest start", 3000),
    ("phx.server", 4000),
    ("apache2-foreground", 80),
    ("httpd-foreground", 80),
    ("catalina.sh", 8080),
    ("nginx -g", 80),
];

/// The port at the end of `8000`, `:8000`, `0.0.0.0:8000`, `tcp://0.0.0.0:3000` and `${PORT:-8000}`.
pub(super) fn trailing_port(text: &str) -> Option<u16> {
    let text = text.trim_matches(|c: char| matches!(c, '"' | '\'' | '/' | ';' | ',' | '}' | ')'));
    let last = text.rsplit(':').next()?.trim_start_matches(['-', '?']);
    last.parse().ok().filter(|port| *port > 0)
}

/// The words of a command in either form: `CMD ["a", "--port=1"]` or `a --port=1`.
fn words(command: &str) -> Vec<String> {
    let plain = |c: char| if matches!(c, '[' | ']' | ',' | '"' | '\'') { ' ' } else { c };
    command.chars().map(plain).collect::<String>().split_whitespace().map(str::to_owned).collect()
}

/// The port in a command's options.
pub(super) fn port_in_command(command: &str) -> Option<u16> {
    let words = words(command);
    for (index, word) in words.iter().enumerate() {
        let lower = word.to_ascii_lowercase();
        if let Some((name, value)) = lower.split_once('=') {
            let names = OPTIONS.contains(&name) || matches!(name, "port" | "-dserver.port" | "http_port");
            if let (true, Some(port)) = (names, trailing_port(value)) {
                return Some(port);
            }
        }
        // `-p` is ambiguous (`mkdir -p`): its value must be a number or an address.
        if OPTIONS.contains(&lower.as_str()) || lower.ends_with("http.server") {
            let next = words.get(index + 1).filter(|next| next.ends_with(|c: char| c.is_ascii_digit() || c == '}'));
            if let Some(port) = next.and_then(|next| trailing_port(next)) {
                return Some(port);
            }
        }
        // gunicorn's short form without a space: `-b:8000`.
        if let Some(port) = lower.strip_prefix("-b").filter(|rest| rest.contains(':')).and_then(trailing_port) {
            return Some(port);
        }
    }
    None
}

/// The default port of the command's program, with the program's name.
pub(super) fn usual_port(command: &str) -> Option<(u16, &'static str)> {
    let command = words(command).join(" ");
    let found = DEFAULTS.iter().find(|(program, _)| command.contains(program));
    found.map(|(program, port)| (*port, *program))
}

/// The port in a variable such as `PORT` or `ASPNETCORE_URLS`.
pub(super) fn port_in_variables<'v>(
    variables: impl Iterator<Item = (&'v str, &'v str)> + Clone,
) -> Option<(u16, String)> {
    const NAMES: [&str; 10] = [
        "PORT",
        "VIRTUAL_PORT",
        "HTTP_PORT",
        "SERVER_PORT",
        "APP_PORT",
        "LISTEN_PORT",
        "WEB_PORT",
        "ASPNETCORE_HTTP_PORTS",
        "ASPNETCORE_URLS",
        "LISTEN_ADDR",
    ];
    NAMES.iter().find_map(|name| {
        let (_, value) = variables.clone().find(|(known, _)| known == name)?;
        trailing_port(value.split(';').next()?).map(|port| (port, (*name).to_owned()))
    })
}

/// Port and path of a health check's URL, such as `curl -f http://localhost:3000/health || exit 1`.
pub(super) fn asked_by_check(test: &str) -> Option<(u16, String)> {
    let at = test.find("http://")?;
    let rest: String = test[at + 7..]
        .chars()
        .take_while(|c| !c.is_whitespace() && !matches!(c, '"' | '\'' | '|' | ';' | ')' | ','))
        .collect();
    let (authority, path) = rest.split_once('/').map_or((rest.as_str(), ""), |(authority, path)| (authority, path));
    let (host, port) = authority.rsplit_once(':').map_or((authority, "80"), |(host, port)| (host, port));
    let local = matches!(host, "localhost" | "127.0.0.1" | "0.0.0.0" | "[::1]" | "$HOSTNAME" | "$(hostname)");
    let port = trailing_port(port)?;
    let path = format!("/{}", path.split('#').next().unwrap_or_default());
    (local && path.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '$' | '`' | '{' | '}'))).then_some((port, path))
}
