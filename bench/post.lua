-- bench/post.lua: wrk posts a half-kilobyte event that names no id.
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = '{"user_id":"u42","email":"alice@example.com","text":"' .. string.rep("x", 440) .. '"}'
