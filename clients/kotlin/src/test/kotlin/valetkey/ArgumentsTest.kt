package valetkey

import java.io.File
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue

/** Wrong arguments: each is refused before a token or a request, in words that say what is wrong and what is allowed. */
class ArgumentsTest {
    private val client = Valetkey("https://a.example") { error("the client asked for a token") }
    private val image = File.createTempFile("valetkey", ".png").apply {
        deleteOnExit()
        writeBytes(ByteArray(3))
    }

    private fun refused(param: String, found: String, call: () -> Unit) {
        val error = assertFailsWith<ValetkeyException>("$param, $found") { call() }
        assertEquals(listOf(Code.INVALID_PARAMETER, param), listOf(error.code, error.param))
        val message = error.message.orEmpty()
        assertTrue(message.startsWith("`$param` must be ") && message.endsWith(", not $found."), message)
    }

    @Test
    fun `an address has https or is this machine's, and no path`() {
        val safe = listOf("https://a.example", "https://a.example/", "https://[2001:db8::1]:8443", "http://localhost:8787", "http://127.0.0.1:1/", "http://[::1]", "http://10.0.2.2:8787")
        for (base in safe) Valetkey(base) { "t" }
        val unsafe = listOf("", "http://a.example", "http://localhost.example", "http://10.0.2.2.example", "https://u@a.example", "ftp://a", "http://127.0.0.1@a.example")
        val withPath = listOf("https://a.example?x", "https://a.example/api/", "https://a.example/v1", "http://127.0.0.1:8787/v1", "http://localhost/api")
        val noUrl = listOf("https://a b", "https://a:b", "https://a\\b", "https://a\n")
        for (base in unsafe + withPath + noUrl) refused("baseUrl", "\"$base\"") { Valetkey(base) { "t" } }
    }

    @Test
    fun `with allowHttp an address may have http on any machine, and nothing else changes`() {
        val lan = Options(allowHttp = true)
        for (base in listOf("http://192.168.1.20:8787", "http://pc.local/", "HTTP://10.0.0.5")) {
            refused("baseUrl", "\"$base\"") { Valetkey(base) { "t" } }
            Valetkey(base, lan) { "t" }
            CoroutineValetkey(base, lan) { "t" }
        }
        for (base in listOf("http://192.168.1.20:8787/v1", "ftp://192.168.1.20", "http://u@192.168.1.20", "http://")) refused("baseUrl", "\"$base\"") { Valetkey(base, lan) { "t" } }
    }

    @Test
    fun `an option has to be a number that makes sense`() {
        refused("maxTries", "0") { Options(maxTries = 0) }
        refused("longestWaitSecs", "-1") { Options(longestWaitSecs = -1) }
        Options(maxTries = 1, longestWaitSecs = 0)
    }

    @Test
    fun `an input holds what JSON can express`() {
        refused("input.seed", "NaN") { client.create(MODEL, mapOf("seed" to Double.NaN)) }
        refused("input.seed", "-Infinity") { client.estimate(MODEL, mapOf("seed" to Float.NEGATIVE_INFINITY)) }
        refused("input.image", "java.io.File") { client.create(MODEL, mapOf("image" to image)) }
        refused("input.a.b[1].c", "kotlin.Unit") { client.run(MODEL, mapOf("a" to mapOf("b" to listOf(0, mapOf("c" to Unit))))) }
        refused("input.size", "one with the key 1") { client.create(MODEL, mapOf("size" to mapOf(1 to 2))) }
        val circular = HashMap<String, Any?>().also { it["self"] = it }
        refused("input" + ".self".repeat(32), "circular or deeper") { client.create(MODEL, circular) }
    }

    @Test
    fun `names and IDs cannot change the route`() {
        for (model in listOf("", "a", "a/b/c", "../x", "a/..", "a/b?c", "a/b\r\n")) {
            for (call in listOf({ client.create(model, INPUT) }, { client.model(model) }, { client.estimate(model, INPUT) })) {
                val error = assertFailsWith<ValetkeyException>(model) { call() }
                assertEquals(listOf(Code.MODEL_NOT_ALLOWED, "model"), listOf(error.code, error.param))
            }
        }
        for (id in listOf("", "..", "a/b", "a?b", "\ud83d")) {
            for (call in listOf({ client.get(id) }, { client.wait(id) }, { client.events(id) }, { client.cancel(id) }, { client.delete(id) })) {
                refused("jobId", "\"$id\"") { call() }
            }
            for (call in listOf({ client.file(id) }, { client.deleteFile(id) })) refused("fileId", "\"$id\"") { call() }
            for (call in listOf({ client.list(cursor = id) }, { client.files(cursor = id) })) refused("cursor", "\"$id\"") { call() }
        }
        refused("status", "UNKNOWN") { client.list(status = PredictionStatus.UNKNOWN) }
    }

    @Test
    fun `an idempotency key is printable ASCII`() {
        for (key in listOf("", "a\nb", "ä", "a".repeat(256))) {
            assertEquals(Code.INVALID_IDEMPOTENCY_KEY, assertFailsWith<ValetkeyException>(key) { client.create(MODEL, INPUT, key) }.code)
        }
    }

    @Test
    fun `an upload needs a readable file and a media type`() {
        for (file in listOf(File("/nonexistent"), File("/dev/null"), File("/"))) refused("file", "\"$file\"") { client.upload(file, "image/png") }
        val empty = File.createTempFile("valetkey", ".png").apply { deleteOnExit() }
        refused("file", "0") { client.upload(empty, "image/png") }
        for (type in listOf("", "png", "image/png\n, x/y", "image/*")) refused("contentType", "\"$type\"") { client.upload(image, type) }
        assertEquals(listOf("video/webm", "image/png"), listOf("video/webm;codecs=\"vp8,opus\"", " Image/PNG ").map(::mediaType))
    }
}
