//! An app whose image is built from another app's image, and so inherits all of its labels.

use crate::harness::{App, FAULT_APP, Host, Scenario, docker};

fn dockerfile(host: &Host, folder: &str, text: &str) {
    let folder = host.folder().join(folder);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("Dockerfile"), text).expect("a Dockerfile");
}

async fn serves(host: &Host, app: &str, mark: &str) {
    let answer = host.get(app, "/mark").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, mark), "{app}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_from_another_apps_image_is_built_deployed_and_pruned_as_itself() {
    let app = |name: &str| App::built_from(name, name.as_ref()).env("RELEASE_MARK", &format!("{name} 1"));
    let mut host = Scenario::new("inherited").app(app("base")).app(app("more")).start().await;
    let base = format!("deploy-apps/{}-base", host.name());
    dockerfile(&host, "base", &format!("FROM {FAULT_APP}\nLABEL base=1\n"));
    host.deploy(&["base"]).await.succeeded().says("built ");
    // Not a byte of its own: the same image under another name, all labels inherited.
    dockerfile(&host, "more", &format!("FROM {base}:r1\n"));
    host.deploy(&["more"]).await.succeeded().says("built ");
    serves(&host, "base", "base 1").await;
    serves(&host, "more", "more 1").await;
    host.deploy(&["base", "more"]).await.succeeded();
    host.runs(&["base-r1-1", "more-r1-1"]).await;

    // Each changes by itself.
    dockerfile(&host, "more", &format!("FROM {base}:r1\nLABEL more=2\n"));
    host.change("more", |app| app.env("RELEASE_MARK", "more 2"));
    host.deploy(&["base", "more"]).await.succeeded();
    host.runs(&["base-r1-1", "more-r2-1"]).await;
    dockerfile(&host, "base", &format!("FROM {FAULT_APP}\nLABEL base=2\n"));
    host.change("base", |app| app.env("RELEASE_MARK", "base 2"));
    host.deploy(&["base", "more"]).await.succeeded();
    host.runs(&["base-r2-1", "more-r2-1"]).await;
    dockerfile(&host, "base", &format!("FROM {FAULT_APP}\nLABEL base=3\n"));
    host.deploy(&["base"]).await.succeeded();

    // The image that `more` was built from is no rollback target any more, and what is in use stays.
    host.deploy(&["prune", "--keep", "1"]).await.succeeded();
    let tags = |app: &str| {
        let shown = docker(&["images", "--format", "{{.Tag}}", &format!("deploy-apps/{}-{app}", host.name())]);
        let mut tags: Vec<String> = shown.lines().map(str::to_owned).collect();
        tags.sort_unstable();
        tags.join(" ")
    };
    assert_eq!((tags("base"), tags("more")), ("r2 r3".to_owned(), "r1 r2".to_owned()));
    host.deploy(&["rollback", "more", "r1"]).await.succeeded();
    serves(&host, "more", "more 1").await;
    host.deploy(&["restart", "base", "more"]).await.succeeded();
    serves(&host, "base", "base 2").await;
    serves(&host, "more", "more 1").await;
    host.deploy(&["down", "--yes", "--images"]).await.succeeded();
    assert_eq!((tags("base"), tags("more")), (String::new(), String::new()));
}
