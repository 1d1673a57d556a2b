{
  port: 8125,
  // Health and counters, for the container's own HEALTHCHECK only: this port can also delete metrics.
  mgmt_address: '127.0.0.1',
  mgmt_port: 8126,
  // As the first archive in stack/graphite/storage-schemas.conf.
  flushInterval: 5000,
  graphiteHost: process.env.GRAPHITE_HOST || 'carbon',
  graphitePort: 2003,
  backends: ['./backends/graphite'],
  // The names of old releases and gone replicas end with them; else each would be sent as zero for ever.
  deleteIdleStats: true,
  graphite: { legacyNamespace: false },
}
