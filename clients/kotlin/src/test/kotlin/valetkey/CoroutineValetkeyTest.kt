package valetkey

import java.io.File
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue

private const val AT_ONCE_MS = 1_000L

class CoroutineValetkeyTest {
    private fun scripted(vararg steps: Step, use: suspend (CoroutineValetkey, ScriptedApi) -> Unit): Unit =
        ScriptedApi(*steps).use { api -> runBlocking { use(CoroutineValetkey(api.client()), api) } }

    @Test
    fun `run follows a prediction, and reports its states on the caller's thread`() {
        val succeeded = status(3, "succeeded")
        scripted(answer(202, prediction("queued")), events(status(1, "queued"), status(2, "processing"), succeeded)) { client, _ ->
            val caller = Thread.currentThread()
            val states = ArrayList<String>()
            val ended = client.run(MODEL, INPUT) {
                assertEquals(caller, Thread.currentThread())
                states.add(it.status.wire)
            }
            assertEquals(PredictionStatus.SUCCEEDED, ended.status)
            assertEquals(listOf("queued", "queued", "processing", "succeeded"), states)
        }
    }

    @Test
    fun `an error after the create has the key`() {
        scripted(answer(201, prediction("processing")), refusal(403, "insufficient_permissions")) { client, api ->
            val error = assertFailsWith<ValetkeyException> { client.run(MODEL, INPUT) }
            assertEquals(listOf(Code.INSUFFICIENT_PERMISSIONS, JOB), listOf(error.code, error.jobId))
            assertEquals(api.received.first().headers["idempotency-key"], error.idempotencyKey)
        }
    }

    @Test
    fun `each method calls its route`() {
        val stored = """{"file_id":"file_1","content_type":"image/png","bytes":3,"created_at":"2026-01-15T10:30:00Z"}"""
        val model = """{"id":"$MODEL","credits":"4","input":{}}"""
        val page = answer(200, """{"data":[${prediction("failed")}],"next_cursor":null}""")
        val account = """{"plan":"default","credits_balance":"1","limits":{"daily_credits":"9"},"usage":{"credits_spent":"1","credits_reserved":"0",""" +
            """"predictions":1,"running":0,"waiting":0}}"""
        val one = answer(200, prediction("succeeded"))
        val nothing = answer(200, "{}")
        val steps = arrayOf(
            one, one, one, nothing, page, answer(200, """{"credits":"4"}"""), answer(200, """{"data":[$stored],"next_cursor":"file_1"}"""),
            answer(200, stored), nothing, answer(200, """{"data":[$model]}"""), answer(200, model), answer(200, account),
        )
        scripted(*steps) { client, api ->
            client.create(MODEL, INPUT)
            client.get(JOB)
            client.cancel(JOB)
            client.delete(JOB)
            assertEquals(1, client.list(status = PredictionStatus.FAILED).data.size)
            assertEquals("4", client.estimate(MODEL, INPUT))
            assertEquals("file_1", client.files(limit = 1).nextCursor)
            client.file("file_1")
            client.deleteFile("file_1")
            assertEquals(client.models().single().id, MODEL)
            client.model(MODEL)
            assertEquals("default", client.account().plan)
            val routes = listOf(
                "POST /v1/$MODEL/predictions", "GET /v1/predictions/$JOB", "POST /v1/predictions/$JOB/cancel", "DELETE /v1/predictions/$JOB",
                "GET /v1/predictions?status=failed", "POST /v1/estimate", "GET /v1/files?limit=1", "GET /v1/files/file_1", "DELETE /v1/files/file_1",
                "GET /v1/models", "GET /v1/models/$MODEL", "GET /v1/account",
            )
            assertEquals(routes, api.received.map { it.line })
        }
    }

    @Test
    fun `an upload reports its progress on the caller's thread`() {
        val file = File.createTempFile("valetkey", ".png")
        try {
            file.writeBytes(ByteArray(2_000_000))
            val stored = """{"file_id":"file_1","content_type":"image/png","bytes":2000000,"created_at":"2026-01-15T10:30:00Z"}"""
            scripted(answer(201, stored)) { client, _ ->
                val caller = Thread.currentThread()
                val seen = ArrayList<Pair<Long, Long>>()
                client.upload(file, "image/png") { sent, total ->
                    assertEquals(caller, Thread.currentThread())
                    seen.add(sent to total)
                }
                assertEquals(2_000_000L to 2_000_000L, seen.last())
                assertEquals(seen.sortedBy { it.first }, seen)
            }
        } finally {
            file.delete()
        }
    }

    @Test
    fun `the token provider may suspend`() {
        ScriptedApi(answer(200, prediction("queued"))).use { api ->
            val client = CoroutineValetkey(api.origin) { forceRefresh ->
                delay(1)
                "forced-$forceRefresh"
            }
            runBlocking { client.get(JOB) }
            assertEquals("Bearer forced-false", api.received.single().headers["authorization"])
        }
    }

    @Test
    fun `a canceled coroutine leaves its token provider at once, and sends nothing`() {
        ScriptedApi().use { api ->
            val client = CoroutineValetkey(api.origin) {
                delay(60_000)
                "t"
            }
            runBlocking {
                val call = async { client.create(MODEL, INPUT) }
                delay(300)
                withTimeout(AT_ONCE_MS) { call.cancelAndJoin() }
                assertTrue(call.isCancelled)
            }
            assertEquals(0, api.received.size)
        }
    }

    @Test
    fun `a canceled coroutine leaves its call at once`() {
        ScriptedApi().use { api ->
            api.hangAfter {}
            val client = CoroutineValetkey(api.client())
            runBlocking {
                val call = async { client.create(MODEL, INPUT) }
                delay(300)
                withTimeout(AT_ONCE_MS) { call.cancelAndJoin() }
                assertTrue(call.isCancelled)
            }
        }
    }

    @Test
    fun `a flow emits all states, and follows anew for each collector`() {
        val all = arrayOf(status(1, "queued"), status(2, "processing"), status(3, "succeeded"))
        scripted(events(*all), events(*all)) { client, api ->
            val flow = client.events(JOB).map { it.status.wire }
            assertEquals(0, api.received.size)
            assertEquals(listOf("queued", "processing", "succeeded"), flow.toList())
            assertEquals(3, flow.toList().size)
        }
    }

    @Test
    fun `a flow ends at once when its collector stops`() {
        ScriptedApi().use { api ->
            api.hangAfter(events(status(1, "processing")))
            runBlocking {
                withTimeout(AT_ONCE_MS) { assertEquals(PredictionStatus.PROCESSING, CoroutineValetkey(api.client()).events(JOB).first().status) }
            }
        }
    }

    @Test
    fun `a wrong argument is refused in a flow too`() {
        scripted { client, _ ->
            assertEquals("jobId", assertFailsWith<ValetkeyException> { client.events("..").first() }.param)
            assertEquals("jobId", assertFailsWith<ValetkeyException> { client.wait("") }.param)
        }
    }
}
