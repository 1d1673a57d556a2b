//! Whole drawings against the ones that were looked at, and what no drawing may do.

use super::*;

/// `UPDATE_PICTURES=1 cargo test --lib` draws them again; then look at them in a browser.
#[track_caller]
fn as_before(name: &str, drawn: &str) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report/page/tests").join(name);
    // An element a line, so that a review sees what has changed.
    let drawn = drawn.replace("><", ">\n<");
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        std::fs::write(&file, &drawn).expect("a writable file");
    }
    let before = std::fs::read_to_string(&file).expect("a drawing");
    let other = std::iter::zip(drawn.lines(), before.lines()).find(|(now, before)| now != before);
    assert_eq!(other, None, "{name} is drawn otherwise than before");
    assert_eq!(drawn.len(), before.len(), "{name} ends otherwise than before");
}

fn plot() -> Plot {
    let gap = f64::NAN;
    let values = |values: [f64; 5]| std::iter::zip([0.0, 1.0, 2.0, 3.0, 4.0], values).collect();
    Plot::new("Answers <over> time", (0.0, 4.0), Unit::Milliseconds)
        .log()
        .about("Slower at 2 s")
        .line(Line::new("p50", Hue::Series(0), values([2.0, 3.0, 20.0, 3.0, 2.0])))
        .line(Line::new("slowest", Hue::Quiet, values([9.0, gap, 90.0, 0.0, 12.0])).dotted())
        .bands([Band { from: 1.0, to: 3.0, name: "deploy 1".to_owned() }])
        .stages([Stage { from: 1.0, to: 1.5, name: "start".to_owned(), number: 1, hint: "0.5 s".to_owned() }])
        .marks([Mark { at: 2.0, name: "flip to r2".to_owned() }])
        .misses([Miss { cause: "reset".to_owned(), at: vec![(2.0, 3), (9.0, 1)] }])
}

fn bars() -> Bars {
    Bars::new("Failures", Unit::Count)
        .bar(Bar::new("ours", 0.0, Hue::Series(0)).note("of 84,120"))
        .bar(Bar::new("a & b", 1413.0, Hue::Quiet).spread(902.0, 1588.0))
}

#[test]
fn a_plot_is_drawn_as_before() {
    as_before("plot.svg", &plot().standalone("one deploy"));
}

#[test]
fn bars_are_drawn_as_before() {
    as_before("bars.svg", &bars().standalone("fewer is better"));
}

#[test]
fn a_line_is_broken_where_there_is_no_value_and_a_log_axis_has_no_zero() {
    let drawing = plot().svg("", 1000.0);
    let slowest = drawing.split("class=\"edge dashed quiet\" d=\"").nth(1).expect("the line");
    let shape = slowest.split('"').next().expect("its path");
    assert_eq!(shape.matches('M').count(), 3, "three pieces, each a dot: {shape}");
    assert_eq!(shape.matches('L').count(), 0, "{shape}");
}

#[test]
fn areas_lie_on_each_other_and_end_where_their_series_does() {
    let values = |values: [f64; 4]| std::iter::zip([0.0, 1.0, 2.0, 3.0], values).collect();
    let old = Line::new("r1", Hue::Series(0), values([100.0, 60.0, 0.0, 0.0]));
    let new = Line::new("r2", Hue::Series(1), values([0.0, 40.0, 100.0, 100.0]));
    let drawing = Plot::new("Crossing", (0.0, 3.0), Unit::PerSecond).stack([old, new]).svg("", 1000.0);
    let shapes: Vec<&str> = drawing.split("class=\"area ").skip(1).filter_map(|rest| rest.split('"').nth(2)).collect();
    let tops = |shape: &str| -> Vec<String> { shape.split(['M', 'L', 'Z']).map(str::to_owned).collect() };
    let (old, new) = (tops(shapes[0]), tops(shapes[1]));
    // Over the whole width the sum is 100: the new one's upper edge is level, and begins where the old one's does.
    let height = |place: &str| place.split_once(' ').expect("x and y").1.to_owned();
    assert_eq!(height(&new[1]), height(&new[4]), "{new:?}");
    assert_eq!(height(&old[1]), height(&new[1]), "{old:?} {new:?}");
    assert_eq!(old.len(), 2 + 6, "the old one ends with its last request: {old:?}");
}

#[test]
fn an_empty_plot_is_still_one() {
    for drawing in
        [Plot::new("Nothing", (0.0, 0.0), Unit::Count).svg("", 340.0), Bars::new("None", Unit::Count).svg("", 340.0)]
    {
        assert!(!drawing.contains("NaN") && !drawing.contains("inf"), "{drawing}");
    }
}

#[test]
fn a_page_loads_nothing_and_lets_no_foreign_text_become_markup() {
    let evil = "</title><script src=https://evil.example>\"'";
    let table = Table::new(evil, vec![Cell::Word(evil.to_owned())]).row(vec![Cell::Code(evil.to_owned())]);
    let tile = Tile { name: evil.to_owned(), value: evil.to_owned(), note: evil.to_owned(), is_bad: true };
    let plot = Plot::new(evil, (0.0, 1.0), Unit::Count)
        .about(evil)
        .line(Line::new(evil, Hue::Lost, vec![(0.0, 1.0)]))
        .marks([Mark { at: 0.5, name: evil.to_owned() }])
        .misses([Miss { cause: evil.to_owned(), at: vec![(0.5, 1)] }]);
    let section = Section::new(evil).tiles(&[tile]).plot(&plot, evil).bars(&bars(), evil).table(evil, evil, &table);
    let html = Page::new(evil, Verdict::Bad).under(evil).section(section).foot(evil).html();
    assert_eq!(html.matches("<script").count(), 1, "only the page's own");
    assert!(!html.contains("src=https://evil.example>\"") && html.contains("&lt;script src=https://evil.example&gt;"));
    for loading in ["src=\"", "href=\"http", "url(", "@import", "<link rel=\"stylesheet"] {
        assert!(!html.contains(loading), "`{loading}`");
    }
    assert!(html.contains("default-src 'none'"));
}

#[test]
fn the_same_plot_of_two_apps_has_names_of_its_own() {
    let sections = ["web", "shop"].map(|app| Section::new(app).plot(&plot(), "").bars(&bars(), ""));
    let html = sections.into_iter().fold(Page::new("Two", Verdict::Good), Page::section).html();
    let mut ids: Vec<&str> = html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(ids.len(), 2 * 2 * 2 * 2, "title and description, at two widths, of two plots, of two apps: {ids:?}");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 16, "{ids:?}");
}

/// The dashboard and the pages look alike; neither module may use the other, so this keeps them together.
#[test]
fn the_colours_are_the_dashboards() {
    let variables = |css: &'static str| {
        let lines = css.lines().map(str::trim).take_while(|line| !line.starts_with("@media print"));
        lines.filter(|line| line.starts_with("--") && line.contains('#')).collect::<Vec<_>>()
    };
    let dashboard = variables(include_str!("../../../dashboard/page/style.css"));
    let own = variables(include_str!("../style.css"));
    let shared: Vec<_> = own.into_iter().filter(|line| !line.starts_with("--s")).collect();
    assert_eq!(shared.len(), 2 * 13, "light and dark: {shared:?}");
    for line in shared {
        assert!(dashboard.contains(&line), "the dashboard has no `{line}`");
    }
}
