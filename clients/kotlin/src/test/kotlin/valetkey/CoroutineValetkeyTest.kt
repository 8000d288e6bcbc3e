// The coroutine recipes of README.md, run with real coroutines. tests/js/kotlin_client.test.mjs compares the lines.
package valetkey

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.flowOn
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.runInterruptible
import kotlinx.coroutines.withTimeout
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue

suspend fun <T> Valetkey.io(call: Valetkey.() -> T): T = runInterruptible(Dispatchers.IO) { call() }

fun Valetkey.flow(jobId: String): Flow<Prediction> =
    flow { events(jobId).use { while (true) emit(runInterruptible { it.next() } ?: break) } }.flowOn(Dispatchers.IO)

private const val AT_ONCE_MS = 1_000L

class RecipesTest {
    @Test
    fun `a call runs in a coroutine`() {
        ScriptedApi(answer(201, prediction("processing"))).use { api ->
            val client = api.client()
            assertEquals(JOB, runBlocking { client.io { create(MODEL, INPUT) } }.jobId)
        }
    }

    @Test
    fun `a canceled coroutine leaves its call at once`() {
        ScriptedApi().use { api ->
            api.hangAfter {}
            val client = api.client()
            runBlocking {
                val call = async { client.io { create(MODEL, INPUT) } }
                delay(300)
                withTimeout(AT_ONCE_MS) { call.cancelAndJoin() }
                assertTrue(call.isCancelled)
            }
        }
    }

    @Test
    fun `a flow emits all states`() {
        ScriptedApi(events(status(1, "queued"), status(2, "processing"), status(3, "succeeded"))).use { api ->
            val states = runBlocking { api.client().flow(JOB).map { it.status.wire }.toList() }
            assertEquals(listOf("queued", "processing", "succeeded"), states)
        }
    }

    @Test
    fun `a flow ends at once when its collector stops`() {
        ScriptedApi().use { api ->
            api.hangAfter(events(status(1, "processing")))
            runBlocking {
                withTimeout(AT_ONCE_MS) { assertEquals(PredictionStatus.PROCESSING, api.client().flow(JOB).first().status) }
            }
        }
    }
}
