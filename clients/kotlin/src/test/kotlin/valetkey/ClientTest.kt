package valetkey

import java.io.File
import java.io.IOException
import java.io.InterruptedIOException
import kotlin.test.Test
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNull
import kotlin.test.assertSame
import kotlin.test.assertTrue

class ClientTest {
    private fun <T> scripted(vararg steps: Step, options: Options = Options(), use: (Valetkey, ScriptedApi) -> T): T =
        ScriptedApi(*steps).use { use(it.client(options), it) }

    private fun failing(vararg steps: Step, options: Options = Options(), call: (Valetkey) -> Unit = { it.create(MODEL, INPUT) }) =
        scripted(*steps, options = options) { client, api -> assertFailsWith<ValetkeyException> { call(client) } to api }

    @Test
    fun `create sends the method, path, headers and body that the API expects`() {
        scripted(answer(201, prediction("processing"))) { client, api ->
            val made = client.create(MODEL, INPUT, imageCount = 2)
            assertEquals(Prediction(JOB, PredictionStatus.PROCESSING, MODEL, "2026-01-15T10:30:00Z"), made)
            val request = api.received.single()
            assertEquals("POST /v1/$MODEL/predictions", request.line)
            assertEquals("""{"input":{"prompt":"A serene Japanese garden"},"image_count":2}""", String(request.body))
            assertEquals("application/json", request.headers["content-type"])
            assertTrue(Regex("Bearer e30[.].+").matches(request.headers.getValue("authorization")))
            assertTrue(Regex("[0-9a-f]{32}").matches(request.headers.getValue("idempotency-key")))
            for (name in listOf("origin", "cookie", "x-firebase-appcheck")) assertNull(request.headers[name], name)
        }
    }

    @Test
    fun `every field of a prediction is read, and unknown members are ignored`() {
        val failed = ""","error":{"code":"upstream_lost","message":"gone","new":1}""".replaceFirst(",", "")
        val body = prediction("failed").replace("\"error\":null", failed).replace("\"predict_time\":null", "\"predict_time\":4")
            .replace("\"output\":[]", "\"output\":[\"https://a.example/1.png\"]").replace("\"credits_used\":null", "\"credits_used\":\"2.5\"")
            .replaceFirst("{", """{"new":[{}],"queue":{"position":3,"eta_seconds":40},"cancel_requested":true,""")
        scripted(answer(200, body)) { client, _ ->
            val read = client.get(JOB)
            assertEquals(PredictionError(Code.UPSTREAM_LOST, "gone"), read.error)
            assertEquals(listOf("https://a.example/1.png"), read.output)
            assertEquals(Queue(3, 40), read.queue)
            assertEquals(listOf("2.5", 4.0, true, true), listOf(read.creditsUsed, read.predictTimeSecs, read.cancelRequested, read.hasEnded))
        }
    }

    @Test
    fun `a create without a response is sent again with the same idempotency key`() {
        scripted(lost, refusal(503, "limiter_unavailable"), answer(201, prediction("processing"))) { client, api ->
            client.create(MODEL, INPUT, "my key")
            assertEquals(listOf("my key", "my key", "my key"), api.received.map { it.headers["idempotency-key"] })
        }
    }

    @Test
    fun `an error after the create has the key, so that repeating run makes nothing twice`() {
        val refused = refusal(403, "insufficient_permissions")
        val (error, api) = failing(answer(201, prediction("processing")), refused) { it.run(MODEL, INPUT) }
        assertEquals(listOf(Code.INSUFFICIENT_PERMISSIONS, JOB), listOf(error.code, error.jobId))
        assertEquals(api.received.first().headers["idempotency-key"], error.idempotencyKey)
        scripted(answer(200, prediction("succeeded"))) { client, again ->
            client.run(MODEL, INPUT, error.idempotencyKey!!)
            assertEquals(error.idempotencyKey, again.received.single().headers["idempotency-key"])
        }
    }

    @Test
    fun `if reading the prediction of a failed create fails too, the error has the key and the id`() {
        val steps = arrayOf(refusal(504, "upstream_timeout", details = """{"job_id":"$JOB"}"""), refusal(403, "insufficient_permissions"))
        val (error) = failing(*steps) { it.create(MODEL, INPUT, "k1") }
        assertEquals(listOf(Code.INSUFFICIENT_PERMISSIONS, "k1", JOB), listOf(error.code, error.idempotencyKey, error.jobId))
    }

    @Test
    fun `a create that failed maxTries times throws, and the error has the key`() {
        val refused = refusal(503, "limiter_unavailable")
        val (error, api) = failing(refused, refused, options = Options(maxTries = 2))
        assertEquals(Code.LIMITER_UNAVAILABLE, error.code)
        assertEquals(api.received.last().headers["idempotency-key"], error.idempotencyKey)
    }

    @Test
    fun `a permanent refusal is thrown and not retried`() {
        for ((status, code) in listOf(
            400 to Code.INVALID_PARAMETER, 402 to Code.INSUFFICIENT_CREDITS, 403 to Code.MODEL_NOT_ALLOWED, 404 to Code.NOT_FOUND,
            413 to Code.BODY_TOO_LARGE, 415 to Code.UNSUPPORTED_MEDIA_TYPE, 422 to Code.IDEMPOTENCY_MISMATCH,
        )) {
            val (error, _) = failing(refusal(status, code.wire, details = """{"param":"input.prompt"}"""))
            assertEquals(listOf(code, status, "req_1", "input.prompt", "m"), listOf(error.code, error.status, error.requestId, error.param, error.message))
        }
    }

    @Test
    fun `a Retry-After is obeyed, and one above longestWaitSecs is thrown`() {
        scripted(refusal(429, "rate_limited", "Retry-After: 1"), answer(200, prediction("processing"))) { client, _ ->
            val startedAt = System.nanoTime()
            client.get(JOB)
            assertTrue(System.nanoTime() - startedAt >= 1_000_000_000L)
        }
        val (error, _) = failing(refusal(503, "upstream_unavailable", "Retry-After: 71"))
        assertEquals(71L, error.retryAfterSecs)
    }

    @Test
    fun `a create whose key is in progress is repeated until the first one is done`() {
        val steps = Array(5) { refusal(409, "idempotency_in_progress") } + answer(201, prediction("processing"))
        scripted(*steps, options = Options(maxTries = 1)) { client, _ -> assertEquals(JOB, client.create(MODEL, INPUT).jobId) }
    }

    @Test
    fun `refusals of a create in progress do not count as tries`() {
        val busy = Array(5) { refusal(409, "idempotency_in_progress") }
        val unreadable = Array(3) { answer(502, "<html>") }
        scripted(*busy, *unreadable, answer(201, prediction("processing"))) { client, api ->
            assertEquals(JOB, client.create(MODEL, INPUT).jobId)
            assertEquals(9, api.received.size)
        }
    }

    @Test
    fun `a create that failed behind the API is followed by its id and not sent again`() {
        val failed = refusal(504, "upstream_timeout", details = """{"job_id":"$JOB"}""")
        scripted(failed, answer(200, prediction("processing"))) { client, api ->
            assertEquals(JOB, client.create(MODEL, INPUT).jobId)
            assertEquals("GET /v1/predictions/$JOB", api.received[1].line)
        }
        val (error, _) = failing(failed, answer(200, prediction("failed")))
        assertEquals(listOf(Code.UPSTREAM_TIMEOUT, JOB, PredictionStatus.FAILED), listOf(error.code, error.jobId, error.prediction?.status))
        assertEquals(Advice.ASK_USER, error.advice, "the same key would only return the failed prediction")
    }

    @Test
    fun `a refused token is replaced once, and the idempotency key stays the same`() {
        val refused = refusal(401, "invalid_token", "WWW-Authenticate: Bearer error=\"invalid_token\"")
        scripted(refused, answer(201, prediction("processing"))) { client, api ->
            client.create(MODEL, INPUT)
            assertEquals(2, api.received.map { it.headers["authorization"] }.toSet().size)
            assertEquals(1, api.received.map { it.headers["idempotency-key"] }.toSet().size)
        }
        val (error, api) = failing(refused, refused)
        assertEquals(listOf(Code.INVALID_TOKEN, 2), listOf(error.code, api.tokens))
    }

    @Test
    fun `a response that is not from Valetkey has its own code`() {
        for (step in listOf(answer(403, "<html>"), answer(404, ""))) {
            assertEquals(Code.UNREADABLE_ANSWER, failing(step).first.code)
        }
        val once = Options(maxTries = 1)
        val endless = prediction("processing", ",\"new\":\"${"a".repeat(5_000_000)}\"")
        for (body in listOf("", "<html>", "[]", "{}", "{\"job_id\":", endless)) {
            assertEquals(Code.UNREADABLE_ANSWER, failing(answer(200, body), options = once).first.code, body.take(20))
        }
        assertEquals(Code.UNKNOWN, failing(refusal(418, "of_next_year")).first.code)
    }

    @Test
    fun `a redirect is not followed, so that the token goes nowhere else`() {
        for (status in listOf(301, 302, 303, 307, 308)) {
            val (error, api) = failing(answer(status, "", "Location: /elsewhere")) { it.get(JOB) }
            assertEquals(listOf(Code.UNREADABLE_ANSWER, status, 1), listOf(error.code, error.status, api.received.size))
        }
    }

    @Test
    fun `an attestation is sent if appCheck is set`() {
        scripted(answer(200, prediction("queued")), options = Options(appCheck = { "attested" })) { client, api ->
            client.get(JOB)
            assertEquals("attested", api.received.single().headers["x-firebase-appcheck"])
        }
    }

    @Test
    fun `without an attestation a call fails as without a token, and nothing is sent`() {
        val once = Options(maxTries = 1, appCheck = { throw IOException("offline") })
        for ((options, code) in listOf(
            Options(appCheck = { error("not genuine") }) to Code.NO_TOKEN, Options(appCheck = { "a\r\nX: y" }) to Code.NO_TOKEN, once to Code.NETWORK,
        )) {
            val (error, api) = failing(options = options)
            assertEquals(listOf(code, 0), listOf(error.code, api.received.size))
        }
    }

    @Test
    fun `the token provider's failure is the cause of the error, also in create`() {
        val signedOut = IllegalStateException("signed out")
        val error = assertFailsWith<ValetkeyException> { Valetkey("https://a.example") { throw signedOut }.create(MODEL, INPUT, "k1") }
        assertEquals(listOf(Code.NO_TOKEN, "k1"), listOf(error.code, error.idempotencyKey))
        assertSame(signedOut, error.cause)
    }

    @Test
    fun `a create that is interrupted while it gets its token is not sent, however the interrupt is reported`() {
        for (words in listOf("thread interrupted", "interrupted")) {
            ScriptedApi().use { api ->
                var times = 0
                val client = Valetkey(api.origin) {
                    // Android's own HTTP stack has already cleared the thread's interrupt flag.
                    times += 1
                    if (times == 1) throw InterruptedIOException(words) else "t"
                }
                assertFailsWith<InterruptedException>(words) { client.create(MODEL, INPUT) }
                assertEquals(listOf(1, 0), listOf(times, api.received.size))
            }
        }
    }

    @Test
    fun `a thread that is already interrupted starts no exchange`() {
        ScriptedApi().use { api ->
            val transport = Transport(api.origin, Options(), { "t" })
            var begun = 0
            Thread.currentThread().interrupt()
            assertFailsWith<InterruptedException> { transport.open(Call("GET", "/v1/account"), Deadline(1_000), { begun += 1 }) }
            assertEquals(listOf(0, false), listOf(begun, Thread.interrupted()))
        }
    }

    @Test
    fun `deleting a missing file succeeds`() {
        scripted(refusal(404, "not_found")) { client, _ -> client.deleteFile("file_1") }
        scripted(lost, refusal(404, "not_found")) { client, _ -> client.deleteFile("file_1") }
        assertEquals(Code.UNREADABLE_ANSWER, failing(answer(404, "<html>")) { it.deleteFile("file_1") }.first.code)
    }

    @Test
    fun `an upload sends the file unchanged, again after a refused token, but not after a lost response`() {
        val file = File.createTempFile("valetkey", ".png")
        try {
            file.writeBytes(ByteArray(3_000_000) { it.toByte() })
            val stored = """{"file_id":"file_1","content_type":"image/png","bytes":3000000,"created_at":"2026-01-15T10:30:00Z"}"""
            scripted(refusal(401, "invalid_token", "WWW-Authenticate: Bearer"), answer(201, stored)) { client, api ->
                assertEquals(3_000_000L, client.upload(file, "image/png").bytes)
                assertContentEquals(file.readBytes(), api.received[1].body)
                assertEquals("image/png", api.received[1].headers["content-type"])
            }
            assertEquals(Code.NETWORK, failing(lost) { it.upload(file, "image/png") }.first.code)
            val page = answer(200, """{"data":[$stored],"next_cursor":"file_1"}""")
            val last = answer(200, """{"data":[],"next_cursor":null}""")
            scripted(page, last, answer(200, stored), { say("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n") }) { client, api ->
                assertEquals(listOf("file_1"), client.files(limit = 1).data.map { it.fileId })
                assertEquals(Page(emptyList(), null), client.files(cursor = "file_1"))
                assertEquals(3_000_000L, client.file("file_1").bytes)
                client.deleteFile("file_1")
                val lines = listOf("GET /v1/files?limit=1", "GET /v1/files?cursor=file_1", "GET /v1/files/file_1", "DELETE /v1/files/file_1")
                assertEquals(lines, api.received.map { it.line })
            }
        } finally {
            file.delete()
        }
    }

    @Test
    fun `an upload reports its progress on the calling thread`() {
        val file = File.createTempFile("valetkey", ".png")
        try {
            file.writeBytes(ByteArray(3_000_000))
            val stored = """{"file_id":"file_1","content_type":"image/png","bytes":3000000,"created_at":"2026-01-15T10:30:00Z"}"""
            val seen = ArrayList<Long>()
            val caller = Thread.currentThread()
            scripted(answer(201, stored)) { client, _ ->
                client.upload(file, "image/png") { sent, total ->
                    assertEquals(listOf(caller, 3_000_000L), listOf<Any>(Thread.currentThread(), total))
                    seen.add(sent)
                }
            }
            assertEquals(3_000_000L, seen.last())
            assertEquals(seen.sorted(), seen)
            assertTrue(seen.first() < 3_000_000L, "progress was reported before the end")
            // What the callback throws ends the upload. The API may have read the whole file by then.
            ScriptedApi().use { api ->
                api.repeat(answer(201, stored))
                assertFailsWith<IllegalStateException> { api.client().upload(file, "image/png") { _, _ -> error("enough") } }
            }
        } finally {
            file.delete()
        }
    }

    @Test
    fun `predictions are listed by page and status, and deleted`() {
        val page = answer(200, """{"data":[${prediction("failed")}],"next_cursor":"$JOB"}""")
        val gone: Step = { say("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n") }
        scripted(page, page, gone, refusal(404, "not_found"), refusal(409, "not_ended")) { client, api ->
            assertEquals(JOB, client.list().nextCursor)
            assertEquals(JOB, client.list(5, JOB, PredictionStatus.FAILED).data.single().jobId)
            client.delete(JOB)
            client.delete(JOB)
            assertEquals(Code.NOT_ENDED, assertFailsWith<ValetkeyException> { client.delete(JOB) }.code)
            val lines = listOf("GET /v1/predictions", "GET /v1/predictions?limit=5&cursor=$JOB&status=failed", "DELETE /v1/predictions/$JOB")
            assertEquals(lines, api.received.map { it.line }.take(3))
        }
    }

    @Test
    fun `models are read with their rules, and a create is estimated`() {
        val rules = """{"prompt":{"type":"string","required":true,"max_length":2000},"image_count":{"type":"integer","default":1,"min":1,"max":4},""" +
            """"aspect_ratio":{"type":"string","enum":["1:1","16:9"]},"images":{"type":"array","max_items":4,"items":{"type":"string","format":"file"}}}"""
        val model = """{"id":"$MODEL","credits":"4","input":$rules,"new":1}"""
        scripted(answer(200, """{"data":[$model]}"""), answer(200, model), answer(200, """{"credits":"8"}""")) { client, api ->
            val read = client.models().single()
            assertEquals(listOf(MODEL, "4"), listOf(read.id, read.credits))
            val expected = mapOf(
                "prompt" to InputRule("string", isRequired = true, maxLength = 2_000),
                "image_count" to InputRule("integer", default = 1L, min = 1.0, max = 4.0),
                "aspect_ratio" to InputRule("string", allowed = listOf("1:1", "16:9")),
                "images" to InputRule("array", items = InputRule("string", format = "file"), maxItems = 4),
            )
            assertEquals(expected, read.input)
            assertEquals(read, client.model(MODEL))
            assertEquals("8", client.estimate(MODEL, INPUT, imageCount = 2))
            assertEquals(listOf("GET /v1/models", "GET /v1/models/$MODEL", "POST /v1/estimate"), api.received.map { it.line })
            assertEquals("""{"model":"$MODEL","input":{"prompt":"A serene Japanese garden"},"image_count":2}""", String(api.received.last().body))
        }
    }

    @Test
    fun `a prompt that was cut inside a character is sent as readable JSON`() {
        scripted(answer(201, prediction("processing"))) { client, api ->
            client.create(MODEL, mapOf("prompt" to "A fox 🦊".dropLast(1)))
            assertEquals("{\"input\":{\"prompt\":\"A fox \uFFFD\"}}", String(api.received.single().body))
        }
    }

    @Test
    fun `run throws the reason why a prediction did not succeed`() {
        val failed = prediction("failed").replace("\"error\":null", """"error":{"code":"timed_out","message":"too long"}""")
        assertEquals(Code.TIMED_OUT, failing(answer(201, failed)) { it.run(MODEL, INPUT) }.first.code)
        val (error, _) = failing(answer(201, prediction("canceled"))) { it.run(MODEL, INPUT) }
        assertEquals(listOf(Code.CANCELED, PredictionStatus.CANCELED), listOf(error.code, error.prediction?.status))
    }
}
