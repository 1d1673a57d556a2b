-- What this proxy is.
local _M = {}

local build, about

-- In the master: what is found out once.
function _M.load()
    local file = io.open("/etc/nginx/build-id", "r")
    build = file and file:read("*l") or "unknown"
    if file then
        file:close()
    end
    ngx.shared.apps:add("started_at", math.floor(ngx.now() * 1000))
end

-- { api, build, nginx, started_at }
function _M.get()
    if not about then
        local version = ngx.config.nginx_version
        about = {
            api = 1,
            build = build,
            nginx = ("%d.%d.%d"):format(version / 1000000, version / 1000 % 1000, version % 1000),
            started_at = ngx.shared.apps:get("started_at"),
        }
    end
    return about
end

return _M
