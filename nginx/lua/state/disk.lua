-- Calls into files.lua and history_file.lua in a thread of the pool, so that a slow disk delays only who asked for it.
local _M = {}

local function result(is_run, value, problem)
    if not is_run then
        return nil, "the disk thread failed: " .. tostring(value)
    end
    return value, problem
end

-- Yields: not to be called where a request may not wait (balancer, log, start of a worker).
function _M.run(module, name, ...)
    return result(ngx.run_worker_thread("disk", module, name, ...))
end

return _M
