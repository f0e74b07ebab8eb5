# Turns the page's files into a C table: cmake -DDIR=... -DOUT=... -P embed.cmake
# Their SHA-256 is the ETag, so that a browser asks again after an upgrade, and only then gets them again.
set(files # path, file, type
  "/" index.html "text/html"
  "/page.css" page.css "text/css"
  "/page.js" page.js "text/javascript"
  "/charts.js" charts.js "text/javascript"
  "/icon.svg" icon.svg "image/svg+xml")
set(arrays "")
set(table "")
set(i 0)
while(files)
  list(POP_FRONT files path name type)
  file(READ ${DIR}/${name} hex HEX)
  file(SHA256 ${DIR}/${name} sum)
  string(SUBSTRING ${sum} 0 32 sum)
  string(LENGTH "${hex}" len)
  math(EXPR len "${len} / 2")
  string(REGEX REPLACE "(..)" "0x\\1," hex "${hex}")
  string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n" hex "${hex}")
  string(APPEND arrays "static const unsigned char file_${i}[] = {\n${hex}};\n")
  string(APPEND table "    {\"${path}\", \"${type}; charset=utf-8\", file_${i}, ${len}, \"\\\"${sum}\\\"\"},\n")
  math(EXPR i "${i} + 1")
endwhile()
file(WRITE ${OUT}.new "/* Made by src/admin/page/embed.cmake. */\n#include \"page_int.h\"\n\n${arrays}\n"
  "const struct page_file page_files[] = {\n${table}};\nconst size_t page_n_files = ${i};\n")
file(RENAME ${OUT}.new ${OUT})
