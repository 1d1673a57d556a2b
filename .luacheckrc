std = "ngx_lua"
color = false
max_line_length = 140
-- Younger than luacheck's own list.
read_globals = { ngx = { fields = { "run_worker_thread" } } }
