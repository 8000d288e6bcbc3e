// Runs one scenario against the real Worker. Prints each result as a line, which tests/kotlin/live.test.mjs reads.
package valetkey.live

import java.io.File
import java.net.HttpURLConnection
import java.net.URI
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.runBlocking
import valetkey.CoroutineValetkey
import valetkey.PredictionStatus
import valetkey.Valetkey
import valetkey.ValetkeyException

private const val MODEL = "black-forest-labs/flux-kontext-max"

/** Takes `SCENARIO BASE_URL TOKEN_URL ARGUMENT`. A GET of `TOKEN_URL` returns a token. */
fun main(arguments: Array<String>) {
    val (scenario, baseUrl, tokenUrl, argument) = arguments
    val client = Valetkey(baseUrl) { tell("token"); get(tokenUrl) }
    val create = { client.create(MODEL, mapOf("prompt" to argument)) }
    try {
        when (scenario) {
            "run" -> tell("ended", client.run(MODEL, mapOf("prompt" to argument)) { tell("state", it.status) }.run { "$status ${output.size}" })
            "events" -> {
                val created = create()
                client.events(created.jobId).use { events -> while (true) tell("state", events.next()?.status ?: break) }
            }
            "cancel" -> {
                val created = create()
                tell("state", client.cancel(created.jobId).run { "$status $cancelRequested" })
                tell("ended", client.wait(created.jobId).status)
            }
            "create" -> tell("state", create().status)
            "get" -> client.get(argument)
            "waits" -> {
                val made = List(6) { create() }
                made.map { Thread { tell("ended", client.wait(it.jobId).status) }.apply { start() } }.forEach { it.join() }
            }
            "upload" -> {
                var last = 0L
                val stored = client.upload(File(argument), "image/png; name=a") { sent, total -> last = sent * 100 / total }
                tell("stored", "${stored.bytes} $last")
                tell("files", client.files(limit = 100).data.map { it.fileId } == listOf(stored.fileId))
                tell("file", client.file(stored.fileId) == stored)
                client.deleteFile(stored.fileId)
                tell("files", client.files().data.isEmpty())
            }
            "list" -> {
                val jobs = List(3) { create().jobId }
                val first = client.list(limit = 2)
                val rest = client.list(limit = 2, cursor = first.nextCursor)
                tell("listed", (first.data + rest.data).map { it.jobId } == jobs.reversed())
                tell("last", rest.nextCursor.toString())
                jobs.forEach { client.wait(it) }
                tell("succeeded", client.list(status = PredictionStatus.SUCCEEDED).data.size)
                client.delete(jobs[0])
                tell("left", client.list().data.map { it.jobId } == listOf(jobs[2], jobs[1]))
            }
            "models" -> {
                val model = client.models().single { it.id == MODEL }
                tell("model", "${model == client.model(MODEL)} ${model.input.getValue("prompt").run { "$type $isRequired" }}")
                tell("price", client.estimate(MODEL, mapOf("prompt" to argument)) == model.credits)
            }
            "coroutines" -> runBlocking {
                val suspending = CoroutineValetkey(client)
                val runs = List(3) { async { suspending.run(MODEL, mapOf("prompt" to argument)).status } }
                runs.awaitAll().forEach { tell("ended", it) }
            }
            "cut" -> tell("state", client.create(MODEL, mapOf("prompt" to "A fox \uD83E\uDD8A".dropLast(1))).status)
            "refused" -> client.create(MODEL, mapOf("seed" to Double.NaN))
            "account" -> tell("account", client.account().run { "$plan $creditsSpent $predictions" })
        }
    } catch (error: ValetkeyException) {
        tell("error", "${error.code.wire} ${error.status} ${error.retryAfterSecs}")
    }
}

@Synchronized
private fun tell(what: String, value: Any = "") = println("$what $value".trim())

private fun get(url: String): String = (URI(url).toURL().openConnection() as HttpURLConnection).inputStream.use { String(it.readBytes()) }
