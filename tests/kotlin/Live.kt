// Runs one scenario against the real Worker. Prints each result as a line, which tests/kotlin/live.test.mjs reads.
package valetkey.live

import java.io.File
import java.net.HttpURLConnection
import java.net.URI
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
            "upload" -> tell("stored", client.upload(File(argument), "image/png").bytes)
            "account" -> tell("account", client.account().run { "$plan $creditsSpent $predictions" })
        }
    } catch (error: ValetkeyException) {
        tell("error", "${error.code.wire} ${error.status} ${error.retryAfterSecs}")
    }
}

@Synchronized
private fun tell(what: String, value: Any = "") = println("$what $value".trim())

private fun get(url: String): String = (URI(url).toURL().openConnection() as HttpURLConnection).inputStream.use { String(it.readBytes()) }
