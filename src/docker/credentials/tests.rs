//! Selection of the login for an image.

use super::helper::tests::helper;
use super::*;

/// `ann:s3cret:x` in base64.
const ANN: &str = "YW5uOnMzY3JldDp4";

struct Place {
    folder: tempfile::TempDir,
    vars: Vec<(&'static str, String)>,
}

impl Place {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let vars = vec![("DOCKER_CONFIG", folder.path().to_str().unwrap().to_owned())];
        Self { folder, vars }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.vars.push((name, value.to_owned()));
        self
    }

    fn load(&self) -> Result<Credentials, EngineError> {
        Credentials::load(&|name| self.vars.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()))
    }

    async fn user(&self, reference: &str) -> Option<(String, String)> {
        let login = self.load().unwrap().for_image(reference).await.unwrap()?.credentials;
        Some((login.username?, login.password?))
    }
}

fn pair(user: &str, password: &str) -> Option<(String, String)> {
    Some((user.to_owned(), password.to_owned()))
}

#[tokio::test]
async fn a_login_is_found_by_each_form_of_its_key_and_for_its_registry_only() {
    for key in ["r.example", "http://r.example", "https://r.example", "https://r.example/", "https://r.example/v1/"] {
        let place =
            Place::new(&format!(r#"{{"auths":{{"{key}":{{"auth":"{ANN}"}},"helper.example":{{}},"n":null}}}}"#));
        assert_eq!(place.user("r.example/team/app").await, pair("ann", "s3cret:x"), "{key}");
        for other in ["redis", "helper.example/app", "n/app", "r.example:5000/app", "x.r.example/app"] {
            assert_eq!(place.user(other).await, None, "{key} for {other}");
        }
    }
}

#[tokio::test]
async fn plain_passwords_and_tokens_are_read() {
    let place = Place::new(
        r#"{"auths":{"a.example":{"username":"bob","password":"x"},"b.example":{"identitytoken":"t","auth":"Ym9iOg=="},
            "https://index.docker.io/v1/":{"username":"hub","password":"h"}},"credsStore":"","credHelpers":null}"#,
    );
    assert_eq!(place.user("a.example/app").await, pair("bob", "x"));
    assert_eq!(place.user("docker.io/team/app").await, pair("hub", "h"));
    let token = place.load().unwrap().for_image("b.example/app").await.unwrap().unwrap().credentials;
    assert_eq!((token.identitytoken.as_deref(), token.username.as_deref()), (Some("t"), Some("bob")));
}

#[tokio::test]
async fn the_variable_wins_over_the_helper_and_the_helper_over_the_file() {
    let (_programs, path) = helper("all", r#"read -r s; printf '{"Username":"helper","Secret":"%s"}' "$s""#);
    let config = format!(
        r#"{{"auths":{{"a.example":{{"auth":"{ANN}"}},"b.example":{{"auth":"{ANN}"}},"c.example":{{"auth":"{ANN}"}}}},
            "credsStore":"all","credHelpers":{{"c.example":""}}}}"#
    );
    let variable = r#"{"auths":{"a.example":{"username":"var","password":"v"}}}"#;
    let place = Place::new(&config).with("PATH", &path).with("DOCKER_AUTH_CONFIG", variable);
    assert_eq!(place.user("a.example/app").await, pair("var", "v"));
    assert_eq!(place.user("b.example/app").await, pair("helper", "b.example"));
    assert_eq!(place.user("c.example/app").await, pair("ann", "s3cret:x"));
    assert_eq!(place.user("redis").await, pair("helper", "https://index.docker.io/v1/"));
}

#[tokio::test]
async fn the_helper_of_a_registry_wins_over_the_store_and_may_give_a_token() {
    let (_programs, path) = helper("token", r#"printf '{"Username":"<token>","Secret":"t"}'"#);
    let place = Place::new(r#"{"credsStore":"none","credHelpers":{"a.example":"token"}}"#).with("PATH", &path);
    let login = place.load().unwrap().for_image("a.example/app").await.unwrap().unwrap();
    assert_eq!((login.credentials.identitytoken.as_deref(), login.credentials.username), (Some("t"), None));
    assert_eq!(login.from, "credential helper `docker-credential-token`");
    let missing = place.load().unwrap().for_image("b.example/app").await.unwrap_err();
    let file = place.folder.path().join("config.json");
    let named =
        format!("credential helper `docker-credential-none`, which `credsStore` in `{}` names for", file.display());
    assert!(
        missing.message.starts_with(&named)
            && missing.message.ends_with("is not installed: there is no such program in PATH"),
        "{missing}"
    );
    assert!(missing.hint.unwrap().contains("`docker login b.example`"));
}

#[tokio::test]
async fn a_helper_is_asked_once_for_many_images() {
    let count = tempfile::tempdir().unwrap();
    let file = count.path().join("calls");
    let script = format!(r#"echo call >>{}; printf '{{"Username":"a","Secret":"b"}}'"#, file.display());
    let (_programs, path) = helper("count", &script);
    let credentials = Place::new(r#"{"credsStore":"count"}"#).with("PATH", &path).load().unwrap();
    let asked = ["r.example/a", "r.example/b", "r.example/c"].map(|image| credentials.for_image(image));
    futures_util::future::try_join_all(asked).await.unwrap();
    assert_eq!(std::fs::read_to_string(file).unwrap(), "call\n");
}

#[tokio::test]
async fn a_build_gets_logins_and_reasons_for_missing_ones() {
    let place = Place::new(&format!(
        r#"{{"auths":{{"https://r.example/v1/":{{"auth":"{ANN}"}},"bad.example":{{"auth":"*"}},"docker.io":{{"auth":"{ANN}"}}}}}}"#
    ));
    let (all, troubles) = place.load().unwrap().for_build(&["FROM r.example/app\nFROM bad.example/app\n"]).await;
    let mut names: Vec<&str> = all.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["https://index.docker.io/v1/", "r.example", "registry-1.docker.io"]);
    assert!(troubles[0].message.starts_with("the login for `bad.example` in `") && troubles.len() == 1, "{troubles:?}");
}

#[test]
fn a_file_that_cannot_be_read_is_refused_and_a_missing_or_empty_one_is_not() {
    for (text, why) in [
        (r#"{"currentContext":"prod",}"#, "is not valid: trailing comma at line 1"),
        (r#"{"auths":[]}"#, "is not valid: "),
        (r#"{"credHelpers":{"a":1}}"#, "is not valid: "),
    ] {
        let place = Place::new(text);
        let error = place.load().unwrap_err();
        let start = format!("docker's configuration `{}/config.json` {why}", place.folder.path().display());
        assert!(error.message.starts_with(&start), "{error}");
        assert_eq!(error.kind, EngineErrorKind::Unreachable);
    }
    assert!(Place::new(" \n").load().is_ok());
    assert!(Place::new("\u{feff}{}").load().is_ok(), "some editors begin a file with a mark of its encoding");
    let gone = Place::new("x");
    std::fs::remove_file(gone.folder.path().join("config.json")).unwrap();
    assert!(gone.load().is_ok());
    std::fs::create_dir(gone.folder.path().join("config.json")).unwrap();
    assert!(gone.load().unwrap_err().message.ends_with("is not a regular file"));
}

#[test]
fn null_entries_do_not_hide_the_context() {
    let place = Place::new(r#"{"auths":{"r":null},"credsStore":null,"currentContext":"prod"}"#);
    assert_eq!(place.load().unwrap().current_context().as_deref(), Some("prod"));
}

#[test]
fn a_broken_variable_is_refused_without_its_text() {
    let error = Place::new("{}").with("DOCKER_AUTH_CONFIG", r#"{"auths":{"s3cret"#).load().unwrap_err();
    assert!(error.message.starts_with("DOCKER_AUTH_CONFIG is not a valid list") && !error.message.contains("s3cret"));
}
