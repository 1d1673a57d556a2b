//! Router and app see one path, however a client spells it.

use deploy_apps::model::Route;

use crate::world::World;

fn route(host: &str, path: &str, strip: bool) -> Route {
    Route { host: Some(host.to_owned()), path: path.to_owned(), strip, tls: None }
}

#[tokio::test]
async fn cookies_go_on_as_they_were_sent_also_where_the_path_is_stripped() {
    let world = World::start().await;
    let backend = world.backend("web").await;
    let mut record = world.serving("web", &[&backend]);
    record.routes = vec![route("plain.test", "/", false), route("strip.test", "/web", true)];
    world.flip(&[record]).await;
    for (host, path) in [("plain.test", "/x"), ("strip.test", "/web/x")] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: sid=1; sid=2; a=b\r\nCookie: sid=3\r\nConnection: close\r\n\r\n"
        );
        let said = crate::client::ask(world.target, &request).await.json();
        assert_eq!(said["headers"]["cookie"], "sid=1; sid=2; a=b\nsid=3", "{host}");
    }
}

/// A path's app and what it gets, or the status of the refusal.
type Expected = Result<(&'static str, &'static str), u16>;

#[tokio::test]
async fn no_spelling_of_a_path_leads_past_its_route() {
    let world = World::start().await;
    let table = [
        ("public", vec![route("only.test", "/public", false)]),
        ("root", vec![route("many.test", "/", false)]),
        ("admin", vec![route("many.test", "/admin", false)]),
        ("files", vec![route("many.test", "/files", false)]),
        ("deep", vec![route("many.test", "/files/private", false)]),
        ("web", vec![route("many.test", "/web", true)]),
        ("whole", vec![route("whole.test", "/", false)]),
    ];
    let (mut backends, mut records) = (Vec::new(), Vec::new());
    for (app, routes) in table {
        let backend = world.backend(app).await;
        let mut record = world.serving(app, &[&backend]);
        record.routes = routes;
        records.push(record);
        backends.push(backend);
    }
    world.flip(&records).await;

    let long = format!("/admin/..{}/public", "/.".repeat(3000));
    let longer = format!("/x/../public/{}", "y".repeat(5000));
    let cases: &[(&str, &str, Expected)] = &[
        // What is read alike by everybody goes as it was written.
        ("only.test", "/public", Ok(("public", "/public"))),
        ("only.test", "/public/a%2Fb?q=/../x", Ok(("public", "/public/a%2Fb?q=/../x"))),
        ("only.test", "/%70ublic/x", Ok(("public", "/%70ublic/x"))),
        ("only.test", "/public/x/../y", Ok(("public", "/public/x/../y"))),
        ("only.test", "/public//x", Ok(("public", "/public//x"))),
        ("only.test", "/public/.hidden;v=1/..a/a..", Ok(("public", "/public/.hidden;v=1/..a/a.."))),
        ("many.test", "/files/a%2Fb%5Cc", Ok(("files", "/files/a%2Fb%5Cc"))),
        ("many.test", "/x%2Fadmin", Ok(("root", "/x%2Fadmin"))),
        ("many.test", "//cart/%2e%2e/x", Ok(("root", "//cart/%2e%2e/x"))),
        ("whole.test", "/a/..%2f..\\x//y", Ok(("whole", "/a/..%2f..\\x//y"))),
        // Where the router had to follow dots or slashes to find the route, the app gets what was found.
        ("only.test", "/admin/../public/x?q", Ok(("public", "/public/x?q"))),
        ("only.test", "/public/%2e%2e/public/y", Ok(("public", "/public/y"))),
        ("only.test", "/public/../a//../public/y", Ok(("public", "/public/y"))),
        ("only.test", "//public/x", Ok(("public", "/public/x"))),
        ("only.test", "/public%2Fx", Ok(("public", "/public/x"))),
        ("only.test", &long, Ok(("public", "/public"))),
        ("many.test", "/admin/../x", Ok(("root", "/x"))),
        ("many.test", "/x/%2E%2e/admin", Ok(("admin", "/admin"))),
        ("many.test", "//admin/x", Ok(("admin", "/admin/x"))),
        ("many.test", "/admin%2fx", Ok(("admin", "/admin/x"))),
        ("many.test", "/files/private/../c", Ok(("files", "/files/c"))),
        ("many.test", "/q/../admin//..", Ok(("root", "/"))),
        ("many.test", "/x/../admin/%2e%2e/y", Ok(("root", "/y"))),
        ("many.test", "/x/../admin/%C3%A4%22%25", Ok(("admin", "/admin/%C3%A4%22%25"))),
        // What one program reads in one way and another in another is nobody's.
        ("only.test", "/admin/..%2fpublic", Err(400)),
        ("only.test", "/admin/%2e%2e%2Fpublic", Err(400)),
        ("only.test", "/public/a%2fb/../../admin", Err(400)),
        ("only.test", "/public/..\\admin", Err(400)),
        ("only.test", "/public/x%5c..%5c..%5cadmin", Err(400)),
        ("only.test", "/public/..;/admin", Err(400)),
        ("only.test", "/public/%2e%2e;a=b/admin", Err(400)),
        ("only.test", "/public#/../x", Err(400)),
        ("many.test", "/admin\\x", Err(400)),
        ("many.test", "/q%2fz/../admin", Err(400)),
        ("many.test", "/files/q%2fz/../private", Err(400)),
        ("only.test", &longer, Err(400)),
        ("only.test", "/public/..%2fadmin", Err(404)),
        ("only.test", "/public/../admin", Err(404)),
        // A stripped path never begins with two slashes: that would be a host.
        ("many.test", "/web//evil.example/a", Ok(("web", "/evil.example/a"))),
        ("many.test", "/web////evil.example?//b", Ok(("web", "/evil.example?//b"))),
        ("many.test", "/web/.//evil.example/a", Ok(("web", "/evil.example/a"))),
        ("many.test", "/w%65b//evil.example", Ok(("web", "/evil.example"))),
        ("many.test", "/web/a//b%2Fc", Ok(("web", "/a//b%2Fc"))),
        ("many.test", "/web///", Ok(("web", "/"))),
        ("many.test", "/web/../web/x", Ok(("web", "/x"))),
        ("many.test", "/web/..%2fadmin", Err(400)),
    ];
    for (host, path, expected) in cases {
        let answer = world.get(host, path).await;
        let found = if answer.status == 200 {
            let said = answer.json();
            let text = |name: &str| said[name].as_str().expect("a text").to_owned();
            Ok((text("backend"), text("target")))
        } else {
            Err(answer.status)
        };
        let expected = expected.map(|(app, target)| (app.to_owned(), target.to_owned()));
        assert_eq!(found, expected, "{host} {path:.80}");
    }
}
