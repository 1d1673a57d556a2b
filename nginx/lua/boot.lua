-- What runs once: in the master before the workers, and at the start of each worker.
local _M = {}

local TIDY_S = 30

local about

-- What this proxy is: { api, build, nginx, started_at }.
function _M.about()
    if not about then
        local version = ngx.config.nginx_version
        about = {
            api = 1,
            build = _M.build,
            nginx = ("%d.%d.%d"):format(version / 1000000, version / 1000 % 1000, version % 1000),
            started_at = ngx.shared.apps:get("started_at"),
        }
    end
    return about
end

-- Returns the handlers of a request's phases.
function _M.master()
    local file = io.open("/etc/nginx/build-id", "r")
    _M.build = file and file:read("*l") or "unknown"
    if file then
        file:close()
    end
    ngx.shared.apps:add("started_at", math.floor(ngx.now() * 1000))
    -- Loaded before the fork, so that no worker's first request pays for it.
    local access, balancer = require "access", require "balancer"
    require("client").trust(os.getenv("TRUSTED_PROXIES"))
    require "control"
    require "exposition"
    require "probed"
    local store = require "store"
    store.load()
    require("deploys").load(store.HISTORY)
    return { access = access.run, balance = balancer.run, upgraded = access.upgraded, finished = access.finished }
end

local function is_serving(app, release)
    local current = require "current"
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

local function tidy()
    require("inflight").forget_idle()
    require("metrics").forget_retired(is_serving)
end

function _M.worker()
    local workers = require "workers"
    workers.register()
    -- Workers are forked from one state: without this they would all make the same choices.
    math.randomseed(ngx.worker.pid() * 7919 + ngx.time())
    require("lock").free_dead("table", require("store").discard_unacknowledged)
    require("inflight").forget_dead()
    ngx.timer.every(1, require("metrics").flush)
    ngx.timer.every(TIDY_S, tidy)
    if ngx.worker.id() == 0 then
        local error_log = require "error_log"
        ngx.timer.every(error_log.EVERY_S, error_log.tell)
        local access_log = require "access_log"
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
