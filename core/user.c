#include "user.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "mem.h"

enum { PASSWD_ROOM = 16384 };

#ifdef KVS_STATIC
/* The entry of a user, its texts in room; NULL where there is none. */
static const struct passwd *find(uid_t uid, struct passwd *entry, char *room)
{
    struct passwd *found = NULL;
    FILE *file = fopen("/etc/passwd", "re");

    if (!file)
        return NULL;
    while (fgetpwent_r(file, entry, room, PASSWD_ROOM, &found) == 0 && found->pw_uid != uid)
        found = NULL;
    fclose(file);
    return found;
}
#else
static const struct passwd *find(uid_t uid, struct passwd *entry, char *room)
{
    struct passwd *found = NULL;
    return getpwuid_r(uid, entry, room, PASSWD_ROOM, &found) == 0 ? found : NULL;
}
#endif

bool user_home(uid_t uid, char home[PATH_MAX])
{
    struct passwd entry;
    char *room = mem_alloc(PASSWD_ROOM);
    const struct passwd *found = room ? find(uid, &entry, room) : NULL;
    bool good = found && found->pw_dir[0] == '/' && strlen(found->pw_dir) < PATH_MAX;

    if (good)
        snprintf(home, PATH_MAX, "%s", found->pw_dir);
    mem_free(room);
    return good;
}

void user_show(uid_t uid, char *text, size_t size)
{
    struct passwd entry;
    char *room = mem_alloc(PASSWD_ROOM);
    const struct passwd *found = room ? find(uid, &entry, room) : NULL;

    if (found)
        snprintf(text, size, "%s (%lu)", found->pw_name, (unsigned long)uid);
    else
        snprintf(text, size, "user %lu", (unsigned long)uid);
    mem_free(room);
}

bool user_of_program(uid_t *uid)
{
    struct stat st;

    if (stat("/proc/self/exe", &st))
        return false;
    *uid = st.st_uid;
    return true;
}
