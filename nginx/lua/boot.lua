-- What runs once: in the master before the workers, and at the start of each worker.
local _M = {}

local CLEANUP_S = 30

-- Of each worker, as start.sh has written them.
local function connections()
    local file = assert(io.open("/run/deploy-apps/events.conf"))
    local text = file:read("*a")
    file:close()
    return tonumber(text:match("%d+"))
end

-- Returns the handlers of a request's phases.
function _M.master()
    require("about").load()
    -- Loaded before the fork, so that no worker's first request pays for it.
    local access, balancer = require "traffic.access", require "traffic.balancer"
    local client = require "traffic.client"
    client.trust(os.getenv("TRUSTED_PROXIES"))
    require("traffic.https").listen(os.getenv("HTTPS_PORT"))
    require("traffic.waiting").limit(connections())
    require "control.api"
    require "control.certificates"
    require "metrics.exposition"
    require "control.probed"
    local store = require "state.store"
    if require("handover.instance").load() then
        store.load()
        require("tls.store").load()
        require("metrics.deploys").load(store.HISTORY)
    end
    return {
        challenge = require("tls.challenge").run,
        identify = client.identify,
        access = access.run,
        paused = access.paused,
        balance = balancer.run,
        upgraded = access.upgraded,
        changed = access.changed,
        finished = access.finished,
        handshake = require("tls.handshake").run,
    }
end

local function is_serving(app, release)
    local current = require "traffic.current"
    current.has_moved()
    local found = current.app(app)
    if not found or not release then
        return found ~= nil
    end
    for _, peer in ipairs(found.peers) do
        if peer.release == release then
            return true
        end
    end
    return false
end

local function cleanup()
    require("traffic.inflight").forget_idle()
    require("metrics.counters").forget_retired(is_serving)
end

function _M.worker()
    local workers = require "workers"
    workers.register()
    -- Workers are forked from one state: without this they would all make the same choices.
    math.randomseed(ngx.worker.pid() * 7919 + ngx.time())
    require("state.lock").free_dead("table", require("state.store").discard_unacknowledged)
    require("traffic.inflight").forget_dead()
    require("handover.watch").start()
    ngx.timer.every(1, require("metrics.counters").flush)
    ngx.timer.every(CLEANUP_S, cleanup)
    if ngx.worker.id() == 0 then
        local canary = require "control.canary"
        ngx.timer.every(canary.EVERY_S, canary.look)
        local error_log = require "error_log"
        ngx.timer.every(error_log.EVERY_S, error_log.tell)
        local access_log = require "access_log"
        -- Of several proxies, one moves the file; the others write on into the one that was moved.
        if access_log.start() then
            ngx.timer.every(access_log.EVERY_S, access_log.rotate)
        end
    end
end

function _M.worker_ends()
    if ngx.worker.id() == 0 then
        require("error_log").tell()
    end
end

return _M
