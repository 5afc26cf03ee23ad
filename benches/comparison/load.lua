-- For wrk: the requests of the kind named after `--`, and the result as one line of JSON.

local requests = {}
local turn = 0

-- If `request` is set, wrk calls it for every request, which costs the load's core. So only one kind sets it.
local function next_host()
    turn = turn % #requests + 1
    return requests[turn]
end

local kinds = {
    get = function() end,
    close = function() wrk.headers["Connection"] = "close" end,
    post = function()
        wrk.method = "POST"
        wrk.body = string.rep("0123456789", 1000)
    end,
    bearer = function(token) wrk.headers["Authorization"] = "Bearer " .. token end,
    hosts = function(count)
        -- The step shares no divisor with the count, so it reaches all hosts, each far from the last.
        for number = 1, tonumber(count) do
            wrk.headers["Host"] = string.format("host-%d.example.test", number * 7919 % tonumber(count))
            requests[number] = wrk.format()
        end
        request = next_host
    end,
}

function init(arguments)
    kinds[arguments[1]](arguments[2])
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        'RESULT {"requests": %d, "seconds": %f, "bytes": %d, "p50": %f, "p99": %f, "failed": %d}\n',
        summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(50), latency:percentile(99),
        errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
