// SPDX-License-Identifier: Apache-2.0
// A reader of sitemaps and URL lists in constant memory; see sitemap.h.
//
// DESIGN. Input passes through at most three stages: pending bytes -> (inflate) -> XML or lines.
// Each turn of the loop in cress_sitemap_read() takes one slice of at most SLICE_BYTES of plain
// text through the last stage; so a gzip bomb costs time in slices, never memory, and the caller's
// budget is looked at between slices. Text without a URL has an end too, at GAP_MAX: a thousandth
// of it, packed, would otherwise keep the loop busy for as long as it pleases.
#include "worker/render/sitemap.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/base/url.h"

#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* An honest sitemap has a URL every few kilobytes, images and translations of a page included. */
enum { SLICE_BYTES = 4096, PENDING_MAX = 4 << 20, GAP_MAX = 1 << 20 };

enum format { FORMAT_UNKNOWN, FORMAT_XML, FORMAT_LINES };

struct cress_sitemap {
    void (*on_url)(const char *url, bool is_sitemap, void *arg);
    void *arg;
    struct cress_buf pending; /* pushed and not yet read; `used` of it is */
    size_t used;
    size_t emitted;
    size_t gap; /* plain bytes since a URL was given out */

    bool encoding_known;
    bool gzipped;
    bool gzip_ended;
    z_stream inflater;

    enum format format;
    xmlParserCtxtPtr xml;
    int depth;     /* of elements: 1 is <urlset>, 2 <url>, 3 <loc> */
    bool is_index; /* the root is <sitemapindex> */
    bool in_loc;
    struct cress_buf text;    /* of the <loc> or line being read */
    struct cress_error error; /* status CRESS_OK: none so far */
};

static void fail_sitemap(struct cress_sitemap *sitemap, const char *code, const char *message)
{
    if (!sitemap->error.status) {
        cress_error_set(&sitemap->error, CRESS_INVALID, code, "%s", message);
    }
    if (sitemap->xml) {
        xmlStopParser(sitemap->xml);
    }
}

/* Gives out what was collected in `text`, without the blanks around it. */
static void emit(struct cress_sitemap *sitemap)
{
    static const char blanks[] = " \t\r\n";
    char *url = sitemap->text.data;
    if (url && !sitemap->text.overflowed) {
        url += strspn(url, blanks);
        size_t size = strlen(url);
        while (size > 0 && strchr(blanks, url[size - 1])) {
            size--;
        }
        url[size] = '\0';
        if (size > 0 && (sitemap->format == FORMAT_XML || *url != '#')) {
            sitemap->emitted++;
            sitemap->gap = 0;
            sitemap->on_url(url, sitemap->is_index, sitemap->arg);
        }
    } else if (sitemap->text.overflowed) {
        fail_sitemap(sitemap, "not_a_sitemap", "it holds a URL longer than 8192 bytes");
    }
    cress_buf_clear(&sitemap->text);
}

/* --- XML: SAX callbacks of libxml2 --- */

static void on_start_element(void *arg, const xmlChar *name, const xmlChar *prefix,
                             const xmlChar *uri, int namespace_count, const xmlChar **namespaces,
                             int attribute_count, int default_count, const xmlChar **attributes)
{
    (void)prefix, (void)uri, (void)namespace_count, (void)namespaces;
    (void)attribute_count, (void)default_count, (void)attributes;
    struct cress_sitemap *sitemap = arg;
    const char *element = (const char *)name;
    sitemap->depth++;
    if (sitemap->depth == 1) {
        sitemap->is_index = strcmp(element, "sitemapindex") == 0;
        if (!sitemap->is_index && strcmp(element, "urlset") != 0) {
            fail_sitemap(sitemap, "not_a_sitemap",
                         "its root element is neither <urlset> nor <sitemapindex>");
        }
    }
    /* images and videos of a page have a <loc> too, one level deeper */
    sitemap->in_loc = sitemap->depth == 3 && strcmp(element, "loc") == 0;
}

static void on_end_element(void *arg, const xmlChar *name, const xmlChar *prefix,
                           const xmlChar *uri)
{
    (void)name, (void)prefix, (void)uri;
    struct cress_sitemap *sitemap = arg;
    if (sitemap->in_loc) {
        emit(sitemap);
        sitemap->in_loc = false;
    }
    sitemap->depth--;
}

static void on_characters(void *arg, const xmlChar *text, int size)
{
    struct cress_sitemap *sitemap = arg;
    if (sitemap->in_loc) {
        cress_buf_add(&sitemap->text, text, (size_t)size);
    }
}

static void on_doctype(void *arg, const xmlChar *name, const xmlChar *public_id,
                       const xmlChar *system_id)
{
    (void)name, (void)public_id, (void)system_id;
    fail_sitemap(
        arg, "not_a_sitemap",
        "it has a document type declaration (an HTML page?), which a sitemap must not have");
}

/* libxml2 prints errors to stderr unless told otherwise. */
static void on_xml_error(void *arg, xmlErrorPtr error)
{
    struct cress_sitemap *sitemap = arg;
    if (error->level >= XML_ERR_ERROR && !sitemap->error.status) {
        char message[200] = "";
        snprintf(message, sizeof message, "%s", error->message ? error->message : "");
        message[strcspn(message, "\n")] = '\0';
        cress_error_set(&sitemap->error, CRESS_INVALID, "not_a_sitemap",
                        "its XML is broken in line %d: %s", error->line, message);
    }
}

static xmlParserCtxtPtr new_xml_parser(struct cress_sitemap *sitemap)
{
    xmlSAXHandler handler = {
        .initialized = XML_SAX2_MAGIC,
        .startElementNs = on_start_element,
        .endElementNs = on_end_element,
        .characters = on_characters,
        .cdataBlock = on_characters,
        .internalSubset = on_doctype,
        .serror = on_xml_error,
    };
    xmlParserCtxtPtr xml = xmlCreatePushParserCtxt(&handler, sitemap, NULL, 0, NULL);
    if (xml) {
        xmlCtxtUseOptions(xml, XML_PARSE_NONET);
    }
    return xml;
}

/* --- stages --- */

static void read_lines(struct cress_sitemap *sitemap, const char *text, size_t size)
{
    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        const size_t part = end ? (size_t)(end - text) : size;
        cress_buf_add(&sitemap->text, text, part);
        if (end) {
            emit(sitemap);
        }
        text += part + (end != NULL);
        size -= part + (end != NULL);
    }
}

/* The bytes in front of the content: blanks and a byte order mark. */
static size_t skip_preamble(const char *text, size_t size)
{
    size_t i = 0;
    while (i < size && strchr(" \t\r\n\xEF\xBB\xBF", text[i])) {
        i++;
    }
    return i;
}

/* XML begins with <; anything else is a list. */
static void start_format(struct cress_sitemap *sitemap, char first)
{
    sitemap->format = first == '<' ? FORMAT_XML : FORMAT_LINES;
    if (sitemap->format == FORMAT_XML) {
        sitemap->xml = new_xml_parser(sitemap);
        if (!sitemap->xml) {
            fail_sitemap(sitemap, "not_a_sitemap", "the XML parser cannot be made");
        }
    }
}

static void read_plain(struct cress_sitemap *sitemap, const char *text, size_t size)
{
    sitemap->gap += size;
    if (sitemap->gap > GAP_MAX) {
        fail_sitemap(sitemap, "not_a_sitemap",
                     "it goes on for more than 1 MiB without naming a URL");
        return;
    }
    if (sitemap->format == FORMAT_UNKNOWN) {
        const size_t skipped = skip_preamble(text, size);
        text += skipped;
        size -= skipped;
        if (size > 0) {
            start_format(sitemap, *text);
        }
    }
    if (size == 0 || sitemap->error.status) {
        return;
    }
    if (sitemap->format == FORMAT_XML) {
        if (xmlParseChunk(sitemap->xml, text, (int)size, 0) != 0) {
            fail_sitemap(sitemap, "not_a_sitemap", "its XML is broken");
        }
    } else {
        read_lines(sitemap, text, size);
    }
}

/* Inflates one slice of pending input and reads it. False when all pending input is used up. */
static bool read_gzip_slice(struct cress_sitemap *sitemap)
{
    char slice[SLICE_BYTES];
    z_stream *z = &sitemap->inflater;
    z->next_in = (unsigned char *)sitemap->pending.data + sitemap->used;
    z->avail_in = (unsigned)(sitemap->pending.size - sitemap->used);
    z->next_out = (unsigned char *)slice;
    z->avail_out = sizeof slice;
    if (sitemap->gzip_ended) {
        if (z->avail_in == 0) {
            return false;
        }
        inflateReset(z); /* members may follow one another: RFC 1952, section 2.2 */
        sitemap->gzip_ended = false;
    }
    const int result = inflate(z, Z_NO_FLUSH);
    sitemap->used = sitemap->pending.size - z->avail_in;
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
        fail_sitemap(sitemap, "bad_gzip", "its gzip data is damaged");
        return false;
    }
    sitemap->gzip_ended = result == Z_STREAM_END;
    const size_t size = sizeof slice - z->avail_out;
    read_plain(sitemap, slice, size);
    return size > 0 || z->avail_in > 0;
}

static bool read_plain_slice(struct cress_sitemap *sitemap)
{
    size_t size = sitemap->pending.size - sitemap->used;
    if (size == 0) {
        return false;
    }
    if (size > SLICE_BYTES) {
        size = SLICE_BYTES;
    }
    read_plain(sitemap, sitemap->pending.data + sitemap->used, size);
    sitemap->used += size;
    return true;
}

/* gzip begins with 1f 8b (RFC 1952). False while there are too few bytes to tell. */
static bool detect_encoding(struct cress_sitemap *sitemap)
{
    if (!sitemap->encoding_known && sitemap->pending.size >= 2) {
        sitemap->encoding_known = true;
        sitemap->gzipped = memcmp(sitemap->pending.data, "\x1F\x8B", 2) == 0;
        if (sitemap->gzipped && inflateInit2(&sitemap->inflater, 16 + MAX_WBITS) != Z_OK) {
            fail_sitemap(sitemap, "bad_gzip", "the gzip reader cannot be made");
        }
    }
    return sitemap->encoding_known;
}

struct cress_sitemap *cress_sitemap_new(void (*on_url)(const char *url, bool is_sitemap, void *arg),
                                        void *arg)
{
    struct cress_sitemap *sitemap = CRESS_NEW(struct cress_sitemap);
    sitemap->on_url = on_url;
    sitemap->arg = arg;
    sitemap->pending = cress_buf_make(PENDING_MAX);
    sitemap->text = cress_buf_make(CRESS_URL_MAX);
    return sitemap;
}

void cress_sitemap_free(struct cress_sitemap *sitemap)
{
    if (!sitemap) {
        return;
    }
    if (sitemap->gzipped) {
        inflateEnd(&sitemap->inflater);
    }
    if (sitemap->xml) {
        xmlFreeParserCtxt(sitemap->xml);
    }
    cress_buf_free(&sitemap->pending);
    cress_buf_free(&sitemap->text);
    free(sitemap);
}

void cress_sitemap_push(struct cress_sitemap *sitemap, const void *data, size_t size)
{
    if (sitemap->used == sitemap->pending.size) {
        cress_buf_clear(&sitemap->pending);
        sitemap->used = 0;
    }
    if (!cress_buf_add(&sitemap->pending, data, size)) {
        fail_sitemap(sitemap, "not_a_sitemap", "it was pushed faster than it was read");
    }
}

enum cress_status cress_sitemap_read(struct cress_sitemap *sitemap, size_t budget, bool *drained,
                                     struct cress_error *err)
{
    const size_t until = sitemap->emitted + budget;
    bool more = detect_encoding(sitemap);
    while (more && !sitemap->error.status && sitemap->emitted < until) {
        more = sitemap->gzipped ? read_gzip_slice(sitemap) : read_plain_slice(sitemap);
    }
    if (sitemap->error.status) {
        if (err) {
            *err = sitemap->error;
        }
        return sitemap->error.status;
    }
    *drained = !more;
    return CRESS_OK;
}

enum cress_status cress_sitemap_end(struct cress_sitemap *sitemap, struct cress_error *err)
{
    if (sitemap->gzipped && !sitemap->gzip_ended) {
        fail_sitemap(sitemap, "bad_gzip", "its gzip data ends too early");
    } else if (sitemap->format == FORMAT_XML) {
        if (xmlParseChunk(sitemap->xml, "", 0, 1) != 0) {
            fail_sitemap(sitemap, "not_a_sitemap", "its XML ends too early");
        }
    } else {
        emit(sitemap); /* a last line without a line end */
    }
    if (sitemap->error.status && err) {
        *err = sitemap->error;
    }
    return sitemap->error.status;
}
