package nexus

import "unsafe"

// The imports of the module `nexus`: addresses and lengths of what is only borrowed for the call.

//go:wasmimport nexus log
func importLog(level int32, text unsafe.Pointer, textLength uint32, fields unsafe.Pointer, fieldsLength uint32) int32

//go:wasmimport nexus publish
func importPublish(eventType unsafe.Pointer, eventTypeLength uint32, contentType unsafe.Pointer, contentTypeLength uint32,
	data unsafe.Pointer, dataLength uint32) int32

//go:wasmimport nexus respond
func importRespond(status int32, headers unsafe.Pointer, headersLength uint32) int32

//go:wasmimport nexus kv_get
func importGet(key unsafe.Pointer, keyLength uint32, buffer unsafe.Pointer, size uint32, length unsafe.Pointer) int32

//go:wasmimport nexus kv_set
func importSet(key unsafe.Pointer, keyLength uint32, value unsafe.Pointer, valueLength uint32) int32

//go:wasmimport nexus kv_delete
func importDelete(key unsafe.Pointer, keyLength uint32) int32

//go:wasmimport nexus now
func importNow() int64

//go:wasmimport nexus random
func importRandom(bytes unsafe.Pointer, length uint32) int32

func ofText(text string) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.StringData(text)), uint32(len(text))
}

func ofBytes(bytes []byte) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(bytes)), uint32(len(bytes))
}

func hostLog(level Level, text, fields string) int32 {
	textAt, textLength := ofText(text)
	fieldsAt, fieldsLength := ofText(fields)
	return importLog(int32(level), textAt, textLength, fieldsAt, fieldsLength)
}

func hostPublish(eventType, contentType string, data []byte) int32 {
	eventTypeAt, eventTypeLength := ofText(eventType)
	contentTypeAt, contentTypeLength := ofText(contentType)
	dataAt, dataLength := ofBytes(data)
	return importPublish(eventTypeAt, eventTypeLength, contentTypeAt, contentTypeLength, dataAt, dataLength)
}

func hostRespond(status int32, headers string) int32 {
	headersAt, headersLength := ofText(headers)
	return importRespond(status, headersAt, headersLength)
}

func hostGet(key string, buffer []byte) (length uint32, errno int32) {
	keyAt, keyLength := ofText(key)
	bufferAt, size := ofBytes(buffer)
	errno = importGet(keyAt, keyLength, bufferAt, size, unsafe.Pointer(&length))
	return length, errno
}

func hostSet(key string, value []byte) int32 {
	keyAt, keyLength := ofText(key)
	valueAt, valueLength := ofBytes(value)
	return importSet(keyAt, keyLength, valueAt, valueLength)
}

func hostDelete(key string) int32 {
	keyAt, keyLength := ofText(key)
	return importDelete(keyAt, keyLength)
}

func hostNow() int64 { return importNow() }

func hostRandom(bytes []byte) int32 {
	at, length := ofBytes(bytes)
	return importRandom(at, length)
}
