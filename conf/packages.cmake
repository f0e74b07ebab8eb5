# Install rules, manual pages and the three Debian packages: cmake --install, cpack.
include(GNUInstallDirs)

# ---- manual pages: those of the configuration and of frunctl come from the programs' own tables

find_program(FRUN_GZIP gzip REQUIRED)
set(man_dir ${CMAKE_BINARY_DIR}/man)
file(MAKE_DIRECTORY ${man_dir})
set(man_pages)

function(frun_man page)
  add_custom_command(OUTPUT ${man_dir}/${page}.gz
    COMMAND ${FRUN_GZIP} -9nc ${man_dir}/${page} > ${man_dir}/${page}.gz
    DEPENDS ${man_dir}/${page} VERBATIM)
endfunction()

foreach(page frunproxyd.8 frunconnector.8)
  configure_file(${PROJECT_SOURCE_DIR}/docs/man/${page}.in ${man_dir}/${page} @ONLY)
  frun_man(${page})
endforeach()
foreach(pair "gateway|frunproxy.ini.5" "connector|frunconnector.ini.5" "frunctl|frunctl.1")
  string(REPLACE "|" ";" pair "${pair}")
  list(GET pair 0 what)
  list(GET pair 1 page)
  add_custom_command(OUTPUT ${man_dir}/${page}
    COMMAND frunctl config man ${what} > ${man_dir}/${page} DEPENDS frunctl VERBATIM)
  frun_man(${page})
endforeach()
add_custom_target(man ALL DEPENDS ${man_dir}/frunproxyd.8.gz ${man_dir}/frunconnector.8.gz
  ${man_dir}/frunproxy.ini.5.gz ${man_dir}/frunconnector.ini.5.gz ${man_dir}/frunctl.1.gz)

# ---- what goes where

set(units lib/systemd/system)
set(doc ${CMAKE_INSTALL_DATAROOTDIR}/doc)
set(debian ${PROJECT_SOURCE_DIR}/conf/debian)
file(GLOB guides ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/docs/*.md)

install(TARGETS frunproxyd RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT gateway)
install(TARGETS frunconnector RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT connector)
install(TARGETS frunctl RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT common)

install(FILES systemd/frunproxyd.service systemd/frunproxyd.socket DESTINATION ${units} COMPONENT gateway)
install(FILES systemd/frunconnector.service DESTINATION ${units} COMPONENT connector)
foreach(side gateway connector)
  install(FILES ${debian}/${side}.sysusers DESTINATION lib/sysusers.d RENAME frunproxy-${side}.conf
    COMPONENT ${side})
  install(FILES ${debian}/README.${side} DESTINATION ${doc}/frunproxy-${side} RENAME README.Debian
    COMPONENT ${side})
endforeach()
install(FILES ${debian}/common.tmpfiles DESTINATION lib/tmpfiles.d RENAME frunproxy-common.conf
  COMPONENT common)
install(FILES conf/frunproxy.ini DESTINATION ${doc}/frunproxy-gateway/examples COMPONENT gateway)
install(FILES conf/frunconnector.ini DESTINATION ${doc}/frunproxy-connector/examples COMPONENT connector)

install(FILES ${guides} DESTINATION ${doc}/frunproxy-common COMPONENT common)
foreach(folder products grafana alerts)
  if(EXISTS ${PROJECT_SOURCE_DIR}/docs/${folder})
    install(DIRECTORY docs/${folder} DESTINATION ${doc}/frunproxy-common COMPONENT common)
  endif()
endforeach()
install(FILES conf/completions/frunctl.bash RENAME frunctl COMPONENT common
  DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/bash-completion/completions)
install(FILES conf/completions/_frunctl COMPONENT common
  DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/zsh/vendor-completions)

set(man ${CMAKE_INSTALL_MANDIR})
install(FILES ${man_dir}/frunproxyd.8.gz DESTINATION ${man}/man8 COMPONENT gateway)
install(FILES ${man_dir}/frunproxy.ini.5.gz DESTINATION ${man}/man5 COMPONENT gateway)
install(FILES ${man_dir}/frunconnector.8.gz DESTINATION ${man}/man8 COMPONENT connector)
install(FILES ${man_dir}/frunconnector.ini.5.gz DESTINATION ${man}/man5 COMPONENT connector)
install(FILES ${man_dir}/frunctl.1.gz DESTINATION ${man}/man1 COMPONENT common)

# ---- Debian packages

add_custom_command(OUTPUT ${CMAKE_BINARY_DIR}/debian/changelog.gz
  COMMAND ${FRUN_GZIP} -9nc ${debian}/changelog > ${CMAKE_BINARY_DIR}/debian/changelog.gz
  DEPENDS ${debian}/changelog VERBATIM)
add_custom_target(debian_changelog ALL DEPENDS ${CMAKE_BINARY_DIR}/debian/changelog.gz)
foreach(side gateway connector common)
  install(FILES ${CMAKE_BINARY_DIR}/debian/changelog.gz DESTINATION ${doc}/frunproxy-${side}
    COMPONENT ${side})
  install(FILES ${debian}/copyright DESTINATION ${doc}/frunproxy-${side} COMPONENT ${side})
endforeach()

# frun_scripts(<side> <template folder> <script>...): maintainer scripts with their names filled in.
function(frun_scripts side folder)
  set(PACKAGE frunproxy-${side})
  set(scripts)
  foreach(script ${ARGN})
    set(file ${CMAKE_BINARY_DIR}/debian/${side}/${script})
    configure_file(${debian}/${folder}/${script}.in ${file} @ONLY
      FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
    list(APPEND scripts ${file})
  endforeach()
  string(TOUPPER ${side} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA "${scripts}" PARENT_SCOPE)
endfunction()

set(SERVICE frunproxyd.service)
set(UNITS "frunproxyd.socket frunproxyd.service")
set(CONFIG frunproxy.ini)
set(MORE_CONFIG "\"$DPKG_ROOT/etc/frunproxy/endpoints.d\"")
set(FOLDER frunproxy)
set(PROGRAM frunproxyd)
frun_scripts(gateway daemon postinst prerm postrm)
set(SERVICE frunconnector.service)
set(UNITS frunconnector.service)
set(CONFIG frunconnector.ini)
set(MORE_CONFIG "")
set(FOLDER frunconnector)
set(PROGRAM frunconnector)
frun_scripts(connector daemon postinst prerm postrm)
frun_scripts(common common postinst postrm)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME frunproxy)
set(CPACK_PACKAGE_CONTACT "frunproxy maintainers <maintainers@frunproxy.invalid>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL gateway connector common)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
  WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
# What loads libcurl at run time no shlibdeps sees.
set(curl "libcurl4 (>= 7.88) | libcurl4t64")
set(sysusers "systemd | systemd-standalone-sysusers | systemd-sysusers, init-system-helpers (>= 1.54~)")
foreach(side gateway connector common)
  string(TOUPPER ${side} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME frunproxy-${side})
endforeach()
set(common "frunproxy-common (= ${PROJECT_VERSION})")
set(CPACK_DEBIAN_GATEWAY_PACKAGE_DEPENDS "${common}, ${curl}, ${sysusers}")
set(CPACK_DEBIAN_CONNECTOR_PACKAGE_DEPENDS "${common}, ${sysusers}")
set(CPACK_DEBIAN_COMMON_PACKAGE_RECOMMENDS "${curl}")
set(CPACK_COMPONENT_GATEWAY_DESCRIPTION "reverse proxy for monitoring pushes to SAP Focused Run
SAP cloud services push monitoring data over HTTPS; SAP Focused Run, which
should receive it, stands behind a firewall that nobody may open. This is the
side that faces the internet: it knows who may push where, and hands the
pushes through a tunnel to the connector inside.")
set(CPACK_COMPONENT_CONNECTOR_DESCRIPTION "carries monitoring pushes from a gateway to SAP Focused Run
The inner side of frunproxy: it dials out to a gateway on the internet, and
passes on to SAP Focused Run what is allowed. It listens on no port.")
set(CPACK_COMPONENT_COMMON_DESCRIPTION "administration tool and guides of frunproxy
frunctl checks configurations, makes certificates and service keys, looks into
the running daemons and pushes for a test. With the administrator's guide, the
manual and shell completions.")
include(CPack)
