# KVS_CFLAG_TRY(CACHE VARIABLE, FLAGS): whether the compiler takes the flags, all together.
AC_DEFUN([KVS_CFLAG_TRY], [
    AC_CACHE_CHECK([whether $CC takes $2], [$1], [
        kvs_saved_cflags=$CFLAGS
        CFLAGS="$CFLAGS -Werror $2"
        AC_COMPILE_IFELSE([AC_LANG_PROGRAM()], [AS_VAR_SET([$1], [yes])], [AS_VAR_SET([$1], [no])])
        CFLAGS=$kvs_saved_cflags])])

# KVS_CFLAG(VARIABLE, FLAG...): appends each flag that the compiler takes to VARIABLE.  Most compilers take all, which one
# test shows; only where that fails is each tried.
AC_DEFUN([KVS_CFLAG], [
    AS_VAR_PUSHDEF([kvs_all], [kvs_cv_cflags_]m4_normalize([$2]))
    KVS_CFLAG_TRY([kvs_all], m4_normalize([$2]))
    AS_VAR_IF([kvs_all], [yes], [AS_VAR_APPEND([$1], [" m4_normalize([$2])"])], [m4_foreach_w([kvs_flag], [$2], [
        AS_VAR_PUSHDEF([kvs_cache], [kvs_cv_cflag_]kvs_flag)
        KVS_CFLAG_TRY([kvs_cache], kvs_flag)
        AS_VAR_IF([kvs_cache], [yes], [AS_VAR_APPEND([$1], [" kvs_flag"])])
        AS_VAR_POPDEF([kvs_cache])])])
    AS_VAR_POPDEF([kvs_all])])

# KVS_LDFLAG(VARIABLE, FLAGS, [IF-NOT]): appends FLAGS, taken as one, to VARIABLE if a program links with them.
AC_DEFUN([KVS_LDFLAG], [
    AS_VAR_PUSHDEF([kvs_cache], [kvs_cv_ldflag_$2])
    AC_CACHE_CHECK([whether programs link with $2], [kvs_cache], [
        kvs_saved_ldflags=$LDFLAGS
        kvs_saved_cflags=$CFLAGS
        CFLAGS="$CFLAGS $KVS_CFLAGS"
        LDFLAGS="$LDFLAGS -Werror $2"
        AC_LINK_IFELSE([AC_LANG_PROGRAM()], [AS_VAR_SET([kvs_cache], [yes])], [AS_VAR_SET([kvs_cache], [no])])
        CFLAGS=$kvs_saved_cflags
        LDFLAGS=$kvs_saved_ldflags])
    AS_VAR_IF([kvs_cache], [yes], [AS_VAR_APPEND([$1], [" $2"])], [$3])
    AS_VAR_POPDEF([kvs_cache])])

# KVS_SANITIZER(NAME, FLAGS): --enable-NAME builds everything with a sanitizer.
AC_DEFUN([KVS_SANITIZER], [
    AC_ARG_ENABLE([$1], [AS_HELP_STRING([--enable-$1], [build with $2 (for tests)])], [], [enable_$1=no])
    AS_IF([test "x$enable_$1" = xyes], [
        kvs_sanitized=yes
        KVS_LDFLAG([KVS_LDFLAGS], [$2], [AC_MSG_ERROR([$CC cannot link with $2; install the compiler's sanitizer libraries])])
        AS_VAR_APPEND([KVS_CFLAGS], [" $2"])])])

# KVS_PACKAGE(VARIABLE, PKG-CONFIG MODULE, VERSION or empty, LIBRARY, FUNCTION, HEADER, DEBIAN PACKAGE)
# Finds a library through pkg-config, else by its name; sets VARIABLE_CFLAGS and VARIABLE_LIBS.
AC_DEFUN([KVS_PACKAGE], [
    PKG_CHECK_MODULES([$1], [$2]m4_ifval([$3], [ >= $3]), [], [
        m4_ifval([$3],
            [AC_MSG_ERROR([$2 $3 or later was not found: install the package $7 (Debian: apt-get install $7)])],
            [AC_CHECK_HEADER([$6], [], [
                AC_MSG_ERROR([$6 was not found: install the package $7 (Debian: apt-get install $7)])])
             AC_CHECK_LIB([$4], [$5], [$1_LIBS=-l$4], [
                AC_MSG_ERROR([the library $4 was not found: install the package $7 (Debian: apt-get install $7)])])])])])
