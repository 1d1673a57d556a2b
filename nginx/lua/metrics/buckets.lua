-- How long requests took is counted in buckets.
local _M = {}

-- Upper bounds in seconds: from what a cache answers to what a person waits for. 0.3 is
-- the latency that the sample system has as its objective.
_M.BOUNDS = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.3, 0.5, 1, 2.5, 5, 10, 30 }

return _M
