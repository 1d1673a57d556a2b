//! Tables of images, ports and names that identify the kind of a service.

/// Ports of protocols other than HTTP. An HTTP probe never succeeds on these.
const NOT_HTTP: [u16; 75] = [
    20, 21, 22, 23, 25, 53, 67, 68, 69, 88, 110, 111, 123, 137, 138, 139, 143, 161, 162, 179, 389, 443, 445, 465, 514,
    515, 554, 587, 636, 853, 873, 993, 995, 1080, 1194, 1433, 1521, 1883, 1935, 2049, 2181, 2222, 2379, 2380, 2525,
    3306, 3389, 3478, 4222, 5060, 5061, 5222, 5432, 5433, 5671, 5672, 5900, 6379, 6380, 6432, 7687, 8883, 9042, 9092,
    9093, 9094, 9160, 11211, 25565, 26257, 27017, 27018, 50051, 51820, 61616,
];
/// Ports of debuggers, which users do not need.
const DEBUGGERS: [u16; 7] = [2345, 5005, 5678, 9229, 9230, 35729, 40000];
/// Likely HTTP ports of an app, most likely first.
const LIKELY: [u16; 14] = [80, 8080, 3000, 8000, 5000, 4000, 8081, 8888, 5173, 4200, 1337, 2368, 9000, 8008];

/// Databases, caches, queues, brokers and search engines: services connect to them, and their data has one writer.
const STORES: &str = "\
    activemq aerospike arangodb artemis cassandra chroma clickhouse clickhouse-server cockroach consul \
    couchbase couchdb cp-kafka cp-schema-registry cp-server cp-zookeeper dragonfly dynamodb-local elasticmq \
    elasticsearch emqx etcd eventstore faktory ferretdb firebird hivemq influxdb kafka keydb ksqldb-server \
    localstack mariadb meilisearch memcached milvus minio mongo mongodb mongodb-community-server mosquitto \
    mssql mysql mysql-server nats nats-streaming neo4j nsqd nsqlookupd opensearch oracle orientdb percona \
    percona-server-mongodb pgbouncer pgpool pgvector postgis postgres postgresql pulsar qdrant questdb \
    rabbitmq ravendb redis redis-cluster redis-sentinel redis-stack redis-stack-server redpanda rethinkdb \
    rqlite scylla seaweedfs server-mssql solr spilo sphinx surrealdb tarantool tidb timescaledb \
    timescaledb-ha typesense valkey vault vernemq vespa weaviate ydb yugabyte zookeeper";
/// Monitoring, log shipping and other helpers, which serve no users of the project.
const HELPERS: &str = "\
    acme-companion alertmanager alloy autoheal beats blackbox-exporter browserless buildkitd cadvisor certbot \
    chrome clamav cloudflared collector coredns coturn ddns diun dind docker docker-socket-proxy dockerize \
    duplicati exim fail2ban filebeat fluent-bit fluentd gotenberg graphite-statsd heartbeat imgproxy jaeger \
    kibana-init letsencrypt letsencrypt-nginx-proxy-companion logspout logstash loki maildev mailcatcher \
    mailhog mailpit metricbeat mimir node-exporter openldap opentelemetry-collector \
    opentelemetry-collector-contrib ouroboros pgbackrest postfix postgres-backup-local postgres-backup-s3 \
    promtail prometheus pushgateway rclone restic selenium smtp smtp4dev snmpd standalone-chrome \
    standalone-firefox statsd syslog-ng tailscale telegraf tempo thanos traefik unbound vector wait-for-it \
    watchtower wg-easy wireguard zipkin";
/// Admin pages. They are apps only if the project has no other.
const CONSOLES: &str = "\
    adminer akhq arena bull-board chronograf cerebro dashy dbeaver dozzle flower grafana grafana-oss \
    grafana-enterprise homepage kafdrop kafka-ui kafka-manager kibana mongo-express netdata \
    opensearch-dashboards pgadmin4 pgadmin pgweb phpmyadmin phpredisadmin portainer portainer-ce \
    redis-commander redisinsight rebrow swagger-ui uptime-kuma zookeeper-navigator";
/// Reverse proxies, which our proxy replaces.
const FRONTS: &str = "\
    nginx nginx-unprivileged openresty caddy caddy-docker-proxy haproxy envoy httpd nginx-proxy \
    nginx-proxy-manager swag kong apisix varnish ingress nginx-full";

/// The last part of a reference, without tag and digest: `postgres` for `docker.io/library/postgres:17`.
pub(super) fn image_name(reference: &str) -> String {
    let whole = reference.split('@').next().unwrap_or_default();
    let last = whole.rsplit('/').next().unwrap_or_default();
    last.split(':').next().unwrap_or_default().to_ascii_lowercase()
}

/// A known kind of image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Store,
    Helper,
    Console,
    Front,
}

impl Known {
    /// The kind of an image reference.
    pub fn of(reference: &str) -> Option<Self> {
        let name = image_name(reference);
        let is = |list: &str| list.split_whitespace().any(|known| known == name);
        // Other packagings of a known image, such as `eclipse-mosquitto`.
        let packed = || STORES.split_whitespace().any(|known| known.len() > 4 && name.ends_with(&format!("-{known}")));
        let store = reference.contains("/mssql/") || is(STORES);
        let exporter = name.ends_with("-exporter") || name.ends_with("_exporter");
        match () {
            () if is(CONSOLES) => Some(Self::Console),
            () if store || (!is(FRONTS) && !is(HELPERS) && packed()) => Some(Self::Store),
            // `minio/mc` is only the client, which creates buckets.
            () if is(HELPERS) || exporter || name == "mc" => Some(Self::Helper),
            () if is(FRONTS) => Some(Self::Front),
            () => None,
        }
    }

    /// The reason as the end of a sentence that starts with “it”.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Store => "holds data or messages for others",
            Self::Helper => "watches or helps the others",
            Self::Console => "is a page for those who run the project",
            Self::Front => "passes requests on, which is the proxy's work here",
        }
    }
}

pub(super) fn is_http(port: u16) -> bool {
    !NOT_HTTP.contains(&port) && !DEBUGGERS.contains(&port)
}

pub(super) fn is_debugger(port: u16) -> bool {
    DEBUGGERS.contains(&port)
}

/// A lower rank is more likely.
pub(super) fn rank(port: u16) -> usize {
    LIKELY.iter().position(|likely| *likely == port).unwrap_or(LIKELY.len())
}

/// The words of a name: `db-migrate` has two.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect()
}

/// Whether the name is that of a job that exits when its work is done.
pub(super) fn names_a_job(name: &str) -> bool {
    const JOBS: [&str; 21] = [
        "migrate",
        "migrator",
        "migration",
        "migrations",
        "init",
        "initdb",
        "dbinit",
        "setup",
        "seed",
        "seeder",
        "seeds",
        "bootstrap",
        "createbuckets",
        "createbucket",
        "provision",
        "provisioner",
        "installer",
        "install",
        "permissions",
        "fixtures",
        "configurator",
    ];
    words(name).iter().any(|word| JOBS.contains(&word.as_str()))
}

/// Whether the command exits when its work is done.
pub(super) fn runs_a_job(command: &str) -> bool {
    const JOBS: [&str; 21] = [
        "migrate",
        "db:prepare",
        "db:seed",
        "db:setup",
        "db:create",
        "alembic upgrade",
        "migrate deploy",
        "db push",
        "collectstatic",
        "assets:precompile",
        "mc mb",
        "mc alias",
        "kafka-topics",
        "createsuperuser",
        "db upgrade",
        "migration:run",
        "migrations:migrate",
        "ecto.migrate",
        "rs.initiate",
        "chown -r",
        "db init",
    ];
    // A command line that starts one of these after a migration does not exit.
    const SERVERS: [&str; 19] = [
        "runserver",
        "gunicorn",
        "uvicorn",
        "daphne",
        "hypercorn",
        "puma",
        "rails s",
        "rails server",
        "npm start",
        "npm run start",
        "npm run dev",
        "yarn start",
        "node ",
        "celery",
        "sidekiq",
        "flask run",
        "artisan serve",
        "phx.server",
        "next start",
    ];
    let command = command.to_ascii_lowercase();
    JOBS.iter().any(|job| command.contains(job)) && !SERVERS.iter().any(|server| command.contains(server))
}

/// Whether name and command are those of a queue worker or a scheduler.
pub(super) fn is_worker(name: &str, command: &str) -> bool {
    const NAMES: [&str; 23] = [
        "worker",
        "workers",
        "celery",
        "celeryworker",
        "celerybeat",
        "sidekiq",
        "resque",
        "queue",
        "queues",
        "consumer",
        "scheduler",
        "beat",
        "cron",
        "horizon",
        "rq",
        "huey",
        "dramatiq",
        "jobs",
        "job",
        "processor",
        "daemon",
        "crawler",
        "listener",
    ];
    const COMMANDS: [&str; 21] = [
        "celery ",
        "sidekiq",
        "rq worker",
        "rqworker",
        "resque",
        "queue:work",
        "queue:listen",
        "schedule:run",
        "schedule:work",
        "horizon",
        "dramatiq",
        "huey",
        "delayed_job",
        "good_job",
        "solid_queue",
        "bin/jobs",
        "qcluster",
        "taskiq",
        "arq ",
        "crond",
        "cron -f",
    ];
    let command = command.to_ascii_lowercase();
    // Options of web servers contain such words too, such as `--workers 4`.
    let plain = command.split_whitespace().filter(|word| !word.starts_with('-'));
    let works = plain.flat_map(words).any(|word| matches!(word.as_str(), "worker" | "consumer"));
    works
        || words(name).iter().any(|word| NAMES.contains(&word.as_str()))
        || COMMANDS.iter().any(|known| command.contains(known))
}

/// Whether two instances would do the work twice.
pub(super) fn is_clock(name: &str, command: &str) -> bool {
    const NAMES: [&str; 6] = ["beat", "celerybeat", "scheduler", "cron", "clock", "clockwork"];
    const COMMANDS: [&str; 7] =
        ["celery beat", " beat", "schedule:work", "schedule:run", "clockwork", "crond", "cron -f"];
    let command = command.to_ascii_lowercase();
    words(name).iter().any(|word| NAMES.contains(&word.as_str()))
        || COMMANDS.iter().any(|known| command.contains(known))
}

/// Health paths of images that are commonly used unchanged.
pub(super) fn health_of(reference: &str) -> Option<&'static str> {
    let path = match image_name(reference).as_str() {
        "gitea" | "forgejo" => "/api/healthz",
        "grafana" | "grafana-oss" | "metabase" => "/api/health",
        "hasura" | "graphql-engine" | "n8n" => "/healthz",
        "mastodon" | "superset" => "/health",
        "nextcloud" => "/status.php",
        "vaultwarden" | "server" if reference.contains("vaultwarden") => "/alive",
        "directus" => "/server/health",
        "jenkins" => "/login",
        _ => return None,
    };
    Some(path)
}
