-- Certificates on the state volume: a file for each host, which nobody but the proxy's user may read. Runs in threads of the
-- pool `disk`, and at start in the master.
local files = require "state.files"
local folders = require "state.folders"

local _M = {}

-- What is a wildcard in a host is a plus in the name of its file.
local function path_of(folder, host)
    return ("%s/%s.json"):format(folder, (host:gsub("^%*", "+")))
end

_M.path_of = path_of

function _M.store(folder, host, text)
    local ok, problem = folders.make(folder, 448) -- 0700
    if not ok then
        return nil, problem
    end
    return files.replace(path_of(folder, host), text, 384) -- 0600
end

-- What is not there is removed already.
function _M.remove(folder, host)
    local ok, why, number = os.remove(path_of(folder, host))
    if not ok then
        return number == folders.ENOENT or nil, "cannot remove " .. why
    end
    return files.sync_folder(path_of(folder, host))
end

-- The hosts that have a file.
function _M.hosts(folder)
    local found, problem = folders.names(folder, "^(.*)%.json$")
    for at, name in ipairs(found or {}) do
        found[at] = name:gsub("^%+", "*")
    end
    return found, problem
end

return _M
